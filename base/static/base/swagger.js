"use strict";

// Swagger UI with a form to sign in, and with streams whose first events are shown. The token is kept in this page alone.

const API = "/api/v1";
const SCHEME = "bearer";
const STREAM = new RegExp(`^${API}/stream/(order-status|market/[^/]+)$`);
const STREAM_MS = 5000;
const STREAM_CHARACTERS = 200000;
// A token is renewed when so much of its life is over.
const RENEW_AFTER = 0.7;

// --- Streams -------------------------------------------------------------------------------------------------------

// What a stream sends within five seconds. Swagger UI waits for the end of an answer, and a stream has none.
async function firstEvents(url, request) {
  const stop = new AbortController();
  const { method, headers } = request;
  const response = await fetch(url, { method, headers, signal: stop.signal });
  if (!response.ok || !response.body) {
    return response;
  }
  const timer = setTimeout(() => stop.abort(), STREAM_MS);
  const text = await readUntilStopped(response.body, stop);
  clearTimeout(timer);
  const { status, statusText } = response;
  const note = ": Shown are the events of the first five seconds. The command above, as curl -N, goes on.\n";
  return new Response(text + note, { status, statusText, headers: response.headers });
}

async function readUntilStopped(body, stop) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += part.value;
      if (text.length > STREAM_CHARACTERS) {
        stop.abort();
      }
    }
  } catch (error) {
    if (!stop.signal.aborted) {
      throw error;
    }
  }
  return text;
}

function intercept(request) {
  if (STREAM.test(new URL(request.url, location.href).pathname)) {
    request.userFetch = firstEvents;
  }
  return request;
}

const ui = SwaggerUIBundle({
  url: document.getElementById("swagger-ui").dataset.schema,
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  requestInterceptor: intercept,
  // Without the null it would have the document judged by a server on the internet.
  validatorUrl: null,
  deepLinking: true,
  filter: true,
  docExpansion: "none",
  tryItOutEnabled: true,
  displayRequestDuration: true,
});

// --- The account ---------------------------------------------------------------------------------------------------

const whole = document.querySelector("#whole input");
whole.addEventListener("change", () => document.body.classList.toggle("whole", whole.checked));

const form = document.getElementById("sign-in");
const signOutButton = document.getElementById("sign-out");
const state = document.getElementById("account-state");
let session = null;
let renewal = 0;

async function post(path, body) {
  const response = await fetch(API + path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (response.status === 204) {
    return null;
  }
  const answer = await response.json();
  if (!response.ok) {
    throw new Error(answer.message);
  }
  return answer.data;
}

function keep(tokens) {
  session = { ...session, ...tokens };
  ui.preauthorizeApiKey(SCHEME, session.accessToken);
  clearTimeout(renewal);
  renewal = setTimeout(renew, session.expiresIn * RENEW_AFTER * 1000);
}

async function renew() {
  try {
    keep(await post("/auth/token/refresh", { refreshToken: session.refreshToken }));
  } catch (error) {
    forget(`The session ended (${error.message}): sign in again.`);
  }
}

function forget(words) {
  clearTimeout(renewal);
  session = null;
  ui.authActions.logout([SCHEME]);
  show(words);
}

function show(words) {
  form.hidden = session !== null;
  signOutButton.hidden = session === null;
  state.textContent = words;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { username, password } = Object.fromEntries(new FormData(form));
  try {
    keep(await post("/auth/token", { username, password }));
    form.reset();
    show(`Signed in as ${session.username}: each Execute is sent with your token.`);
  } catch (error) {
    show(`Not signed in: ${error.message}.`);
  }
});

signOutButton.addEventListener("click", async () => {
  const { refreshToken } = session;
  forget("Signed out.");
  try {
    await post("/auth/logout", { refreshToken });
  } catch (error) {
    show(`Signed out here; the exchange did not hear of it: ${error.message}.`);
  }
});
