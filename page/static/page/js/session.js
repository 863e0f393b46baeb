// Who is signed in. The access token lives in memory alone; the refresh token in sessionStorage, which ends with the tab, so that
// a reload does not sign out. A refresh token is good once: tabs that share one tell each other the next.

import { Refusal, send, signRequests } from "./api.js";

const KEY = "session";
const EARLY_MS = 60_000;
const OVER = [400, 401, 403];

/** @typedef {{ userId: number, username: string }} User */

class Session extends EventTarget {
  /** @type {User | null} */ user = null;
  /** @type {string | null} */ #access = null;
  #refresh = "";
  #goodUntil = 0;
  /** @type {Promise<boolean> | null} */ #renewing = null;
  #tabs = new BroadcastChannel(KEY);

  constructor() {
    super();
    this.#tabs.onmessage = ({ data }) => {
      if (data.replaces && data.replaces === this.#refresh) this.#renewed(data.tokens);
      else if (data.left && data.left === this.#refresh) this.#forget();
    };
    signRequests({ token: () => this.token(), lost: () => this.#renew() });
  }

  /** Goes on from before a reload. */
  async resume() {
    const kept = read();
    if (!kept) return;
    this.#refresh = kept.refresh;
    this.user = kept.user;
    await this.#renew();
  }

  /** @param {string} username @param {string} password */
  async signIn(username, password) {
    const tokens = await send("POST", "/auth/token", { username, password });
    this.#take({ ...tokens, user: { userId: tokens.userId, username: tokens.username } });
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string} username @param {string} email @param {string} password */
  async register(username, email, password) {
    await send("POST", "/users", { username, email, password });
    await this.signIn(username, password);
  }

  async signOut(everywhere = false) {
    const left = this.#refresh;
    try {
      await send("POST", "/auth/logout", everywhere ? { everywhere: true } : { refreshToken: left });
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      // It ends by itself; here it is over in any case.
    }
    this.#tabs.postMessage({ left });
    this.#forget();
  }

  /** @returns {Promise<string | null>} The access token, a fresh one where it is about to end. */
  async token() {
    if (this.#renewing) await this.#renewing;
    if (this.#refresh && (!this.#access || Date.now() > this.#goodUntil - EARLY_MS)) await this.#renew();
    return this.#access;
  }

  /** @returns {Promise<boolean>} Whether there is a fresh token. */
  #renew() {
    if (!this.#refresh) return Promise.resolve(false);
    this.#renewing ??= this.#fresh().finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  async #fresh() {
    const replaces = this.#refresh;
    this.#access = null;
    try {
      const tokens = { ...(await send("POST", "/auth/token/refresh", { refreshToken: replaces })), user: this.user };
      this.#renewed(tokens);
      this.#tabs.postMessage({ replaces, tokens });
      return true;
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      // Anything else, such as a server that is away, says nothing about the session.
      if (OVER.includes(refusal.status) && this.#refresh === replaces) this.#forget(refusal.words);
      return this.#access !== null;
    }
  }

  /** @param {any} tokens */
  #take(tokens) {
    this.#access = tokens.accessToken;
    this.#refresh = tokens.refreshToken;
    this.#goodUntil = Date.now() + tokens.expiresIn * 1000;
    this.user = tokens.user;
    keep({ refresh: this.#refresh, user: this.user });
  }

  #renewed(/** @type {any} */ tokens) {
    this.#take(tokens);
    this.dispatchEvent(new Event("token"));
  }

  /** @param {string} [words] Why, where the user did not ask for it. */
  #forget(words) {
    this.#access = null;
    this.#refresh = "";
    this.user = null;
    keep(null);
    this.dispatchEvent(new CustomEvent("change", { detail: words }));
  }
}

/** @returns {any} */
function read() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  } catch {
    return null;
  }
}

/** @param {any} value */
function keep(value) {
  try {
    if (value) sessionStorage.setItem(KEY, JSON.stringify(value));
    else sessionStorage.removeItem(KEY);
  } catch {
    // Without storage a reload signs out.
  }
}

export const session = new Session();
