// The account page: who one is, API keys, the password, and sessions.

import { get, send } from "./api.js";
import { byId, make } from "./dom.js";
import { keysPart } from "./account_keys.js";
import { form, part } from "./account_parts.js";
import { tell } from "./notices.js";
import { session } from "./session.js";
import { demoButtons, openSignIn, showWho } from "./sign_in.js";
import { startTheme } from "./theme.js";

startTheme();
start();

async function start() {
  await session.resume().catch(() => {});
  session.addEventListener("change", show);
  show();
}

async function show() {
  showWho();
  const place = byId("account");
  if (!session.user) {
    const button = make("button", {
      type: "button",
      class: "button main",
      text: "Sign in or register",
      click: () => openSignIn(),
    });
    return place.replaceChildren(
      make("h1", { text: "Account" }),
      part("Nobody is signed in", demoButtons(), make("div", {}, button)),
    );
  }
  const { user } = session;
  const me = await get("/users/me").catch(() => null);
  const keys = me && (await keysPart());
  // Meanwhile somebody may have signed out.
  if (keys && session.user?.userId === user.userId) {
    place.replaceChildren(make("h1", { text: "Account" }), about(me), keys, password(), sessions());
  }
}

/** @param {any} me */
function about(me) {
  const row = (/** @type {string} */ name, /** @type {string} */ value) => [
    make("dt", { class: "quiet", text: name }),
    make("dd", { text: value }),
  ];
  const rows = [
    ...row("Name", me.username),
    ...row("E-mail", me.email),
    ...row("Id", String(me.userId)),
    ...row("Since", new Date(me.createdAt).toLocaleDateString("en-GB", { dateStyle: "long" })),
  ];
  return part("You", make("dl", { class: "pairs" }, ...rows));
}

function password() {
  const fields = {
    currentPassword: { words: "Current password", type: "password", autocomplete: "current-password" },
    newPassword: { words: "New password", type: "password", autocomplete: "new-password" },
  };
  return part(
    "Password",
    make("p", { class: "quiet", text: "A new password ends all other sessions, and all open streams of the account." }),
    form(fields, "Change the password", async (values) => {
      await send("POST", "/users/me/password", values);
      tell("Password changed", "", "good");
    }),
  );
}

function sessions() {
  const everywhere = make("button", {
    type: "button",
    class: "button",
    text: "Sign out everywhere",
    click: () => session.signOut(true),
  });
  return part(
    "Sessions",
    make("p", { class: "quiet", text: "Signs out here and wherever else this account is signed in. API keys stay." }),
    make("div", {}, everywhere),
  );
}
