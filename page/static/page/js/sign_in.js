// Who is signed in, in the head of the page, and the dialog to sign in or to register.

import { Refusal } from "./api.js";
import { byId, choices, make, write } from "./dom.js";
import { speak } from "./notices.js";
import { session } from "./session.js";

const named = (/** @type {string} */ name) =>
  [...document.querySelectorAll(`meta[name="${name}"]`)].map((meta) => meta.getAttribute("content") ?? "");
const demoAccounts = named("demo-account");
const [demoPassword = ""] = named("demo-password");

/** @type {any} */ let dialog = null;

export function showWho() {
  const place = byId("who");
  if (session.user) {
    place.replaceChildren(
      make("a", {
        class: "button plain",
        href: "/account",
        "aria-label": `Account of ${session.user.username}`,
        text: session.user.username,
      }),
      make("button", { type: "button", class: "button", text: "Sign out", click: () => session.signOut() }),
    );
  } else {
    place.replaceChildren(
      make("button", { type: "button", class: "button main", text: "Sign in", click: () => openSignIn() }),
    );
  }
}

/** Buttons by which a demo signs in at once; null where it is none. */
export function demoButtons() {
  if (!demoAccounts.length) return null;
  const signIn = async (/** @type {any} */ event, /** @type {string} */ name) => {
    const button = event.currentTarget;
    button.disabled = true;
    try {
      await session.signIn(name, demoPassword);
      dialog?.close();
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      speak(refusal.words);
    } finally {
      button.disabled = false;
    }
  };
  return make(
    "div",
    { class: "demo" },
    make("p", { class: "quiet", text: "This is a demo. Trade at once as" }),
    make(
      "div",
      { class: "parts" },
      ...demoAccounts.map((text) =>
        make("button", {
          type: "button",
          class: "button",
          text,
          click: (/** @type {any} */ event) => signIn(event, text),
        }),
      ),
    ),
  );
}

export function openSignIn() {
  dialog ??= makeDialog();
  dialog.showModal();
}

function makeDialog() {
  const field = (
    /** @type {string} */ name,
    /** @type {string} */ words,
    /** @type {Record<string, string>} */ more,
  ) => {
    const input = make("input", { id: `sign-${name}`, name, class: "input", required: true, ...more });
    return make("div", { class: "field", "data-field": name }, make("label", { for: input.id, text: words }), input);
  };
  const username = field("username", "Name", { autocomplete: "username", maxlength: "64", autocapitalize: "off" });
  const email = field("email", "E-mail", { type: "email", autocomplete: "email" });
  const password = field("password", "Password", { type: "password", autocomplete: "current-password" });
  const refusal = make("p", { class: "note", role: "alert", hidden: true });
  const go = make("button", { type: "submit", class: "button main", text: "Sign in" });
  const way = (/** @type {string} */ name, /** @type {string} */ text) =>
    make("button", { type: "button", role: "radio", "aria-checked": String(name === "in"), "data-way": name, text });
  const ways = make(
    "div",
    { class: "choices boxed", role: "radiogroup", "aria-label": "Sign in or register" },
    way("in", "Sign in"),
    way("new", "Register"),
  );
  let isNew = false;
  email.hidden = true;
  choices(ways, "aria-checked", (button) => {
    isNew = button.dataset.way === "new";
    email.hidden = !isNew;
    refusal.hidden = true;
    write(go, isNew ? "Register" : "Sign in");
    password.querySelector("input").setAttribute("autocomplete", isNew ? "new-password" : "current-password");
  });
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const value = (/** @type {any} */ box) => box.querySelector("input").value;
    go.disabled = true;
    refusal.hidden = true;
    try {
      if (isNew) await session.register(value(username), value(email), value(password));
      else await session.signIn(value(username), value(password));
      password.querySelector("input").value = "";
      dialog.close();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      write(refusal, error.words);
      refusal.hidden = false;
    } finally {
      go.disabled = false;
    }
  };
  const leave = make("button", { type: "button", class: "button", text: "Close", click: () => dialog.close() });
  const made = make(
    "dialog",
    { "aria-label": "Sign in" },
    make(
      "form",
      { submit, novalidate: true },
      make("h2", { text: "Welcome to Clearbell" }),
      demoButtons(),
      ways,
      username,
      email,
      password,
      refusal,
      make("div", { class: "actions" }, leave, go),
    ),
  );
  document.body.append(made);
  return made;
}
