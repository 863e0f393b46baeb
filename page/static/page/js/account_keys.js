// API keys: made, shown once, and revoked.

import { get, Refusal, send } from "./api.js";
import { form, part } from "./account_parts.js";
import { make } from "./dom.js";
import { tell } from "./notices.js";
import { when } from "./own_columns.js";
import { Table } from "./tables.js";

export async function keysPart() {
  const table = new Table(
    "API keys",
    columns((key) => revokeButton(key, read)),
    (key) => key.keyId,
    "No keys.",
  );
  const read = async () => table.show(await get("/keys"));
  const secret = make("div", { class: "secret", role: "status" });
  const fields = {
    label: { words: "Label", maxlength: "64", autocomplete: "off" },
    addresses: {
      words: "Only from these addresses (optional, with commas between)",
      autocomplete: "off",
      placeholder: "203.0.113.7, 10.0.0.0/8",
    },
  };
  const mayRead = scope("read", "Read", true);
  const mayTrade = scope("trade", "Trade", false);
  const maker = form(fields, "Make a key", async ({ label, addresses }) => {
    const scopes = [mayRead, mayTrade]
      .filter((box) => box.querySelector("input").checked)
      .map((box) => box.dataset.scope);
    const from = addresses
      .split(",")
      .map((each) => each.trim())
      .filter(Boolean);
    const made = await send("POST", "/keys", { label, scopes, ...(from.length ? { addresses: from } : {}) });
    secret.replaceChildren(...once(made, () => secret.replaceChildren()));
    await read();
  });
  maker.insertBefore(
    make("div", { class: "scopes", role: "group", "aria-label": "Scopes" }, mayRead, mayTrade),
    maker.children[1],
  );
  await read().catch(() => {});
  return part(
    "API keys",
    make("p", {
      class: "quiet",
      text: "A key signs the requests of a program, which then needs neither password nor token.",
    }),
    make("div", { class: "scrolls", tabindex: "0", role: "region", "aria-label": "Your API keys" }, table.place),
    secret,
    maker,
  );
}

/** @param {any} made @param {() => void} hide @returns {any[]} */
function once({ keyId, secret }, hide) {
  return [
    make("p", {}, make("b", { text: "The secret is shown this once. " }), "Keep it where your program finds it."),
    make("p", { class: "quiet", text: "Key" }),
    make("code", { text: keyId }),
    make("p", { class: "quiet", text: "Secret" }),
    make("code", { "data-secret": true, text: secret }),
    make("div", {}, make("button", { type: "button", class: "button", text: "I have kept it", click: hide })),
  ];
}

/** @param {any} key @param {() => Promise<void>} read */
function revokeButton(key, read) {
  const revoke = async (/** @type {any} */ event) => {
    event.currentTarget.disabled = true;
    try {
      await send("DELETE", `/keys/${key.keyId}`);
      tell("Key revoked", key.label);
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      tell("Refused", refusal.words, "bad");
    }
    await read();
  };
  return make("button", {
    type: "button",
    class: "button tiny",
    text: "Revoke",
    "aria-label": `Revoke ${key.label}`,
    click: revoke,
  });
}

/** @param {string} name @param {string} words @param {boolean} checked */
function scope(name, words, checked) {
  return make("label", { class: "check", "data-scope": name }, make("input", { type: "checkbox", checked }), words);
}

/** @param {(key: any) => any} revoke */
const columns = (revoke) => [
  { title: "Label", value: (/** @type {any} */ key) => key.label },
  { title: "Key", value: (/** @type {any} */ key) => key.keyId },
  { title: "Scopes", value: (/** @type {any} */ key) => key.scopes.join(", ") },
  { title: "Made", value: (/** @type {any} */ key) => when(key.createdAt) },
  { title: "Last used", value: (/** @type {any} */ key) => when(key.lastUsedAt) },
  { title: "Actions", value: revoke, isUnseen: true },
];
