// REST: the envelope taken off, refusals as errors in the server's own words, patience where it asks for some.

export class Refusal extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    super(body?.message || "the exchange does not answer");
    this.status = status;
    /** @type {string} */ this.code = body?.error || "UNREACHABLE";
    /** @type {any} */ this.data = body?.data || {};
  }

  /** Each broken rule of its own: of a form with several. */
  get rules() {
    return /** @type {any[]} */ (
      this.data.errors ?? [{ field: this.data.field, error: this.code, message: this.message }]
    );
  }

  /** All of it, as a sentence. */
  get words() {
    return this.data.errors ? this.rules.map((rule) => rule.message).join("; ") : this.message;
  }
}

const TRIES = 4;
/** These bring tokens, and are not signed by one. */
const SIGNING_IN = "/auth/token";
/** @type {{ token: () => Promise<string | null>, lost: () => Promise<boolean> }} */
let signedIn = { token: async () => null, lost: async () => false };

/**
 * Who signs the requests: `token` gives the access token, `lost` is asked for a new one when it is refused.
 * @param {typeof signedIn} session
 */
export function signRequests(session) {
  signedIn = session;
}

/** @param {string} path @param {Record<string, any>} [query] */
export const get = async (path, query) => (await whole(path, query)).data;

/**
 * With what stands beside the data: nextCursor, asOf.
 * @param {string} path
 * @param {Record<string, any>} [query]
 */
export function whole(path, query = {}) {
  const parameters = new URLSearchParams(
    Object.entries(query).filter(([, value]) => value !== undefined && value !== null),
  );
  return call("GET", parameters.size ? `${path}?${parameters}` : path);
}

/** @param {string} method @param {string} path @param {any} [body] */
export const send = async (method, path, body) => (await call(method, path, body)).data;

/**
 * A refusal for the moment is tried again: always where it was said that nothing was done, else where a repetition is harmless,
 * as that of a read, or of an order with its client order id.
 * @param {string} method
 * @param {string} path
 * @param {any} [body]
 * @returns {Promise<any>}
 */
export async function call(method, path, body) {
  const isHarmless = method === "GET" || body?.clientOrderId !== undefined || path.endsWith("/preview");
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await once(method, path, body);
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      if (refusal.status === 401 && attempt === 1 && !path.startsWith(SIGNING_IN) && (await signedIn.lost())) continue;
      const mayHelp =
        refusal.code === "TOO_MANY_REQUESTS" || (isHarmless && (refusal.status >= 500 || refusal.status === 0));
      if (!mayHelp || attempt === TRIES) throw refusal;
      const pause = refusal.data.retryAfterMs ?? 250 * 2 ** attempt;
      await new Promise((done) => setTimeout(done, pause + Math.random() * 150));
    }
  }
}

/** @param {string} method @param {string} path @param {any} body */
async function once(method, path, body) {
  const headers = /** @type {Record<string, string>} */ ({});
  const token = path.startsWith(SIGNING_IN) ? null : await signedIn.token();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "omit",
    });
  } catch {
    throw new Refusal(0, null);
  }
  if (answer.status === 204) return { data: null };
  const told = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refusal(answer.status, told);
  return told;
}

/**
 * A file, as the exchange writes it, for the user to keep.
 * @param {string} path
 * @param {string} name
 */
export async function download(path, name) {
  const token = await signedIn.token();
  const answer = await fetch(`/api/v1${path}`, {
    headers: token ? { Authorization: `Bearer ${token}` } : {},
    credentials: "omit",
  });
  if (!answer.ok) throw new Refusal(answer.status, await answer.json().catch(() => null));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
