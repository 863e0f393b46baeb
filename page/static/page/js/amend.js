// The dialog that amends an open order: the fields that it has, and only what is new is sent.

import { Refusal, send } from "./api.js";
import { shown, text, units } from "./decimal.js";
import { make, write } from "./dom.js";
import { LABELS } from "./order_kinds.js";
import { kindWords } from "./order_words.js";
import { tell } from "./notices.js";

/** @param {any} order */
export function openAmend(order) {
  if (!order) return;
  const fields = amendable(order);
  const inputs = /** @type {Record<string, any>} */ ({});
  const boxes = fields.map((field) => {
    const isTime = field === "expiresAt";
    const input = make("input", {
      id: `amend-${field}`,
      name: field,
      class: "input",
      ...(isTime ? { type: "datetime-local", step: "1" } : { inputmode: "decimal", autocomplete: "off" }),
    });
    input.value = isTime ? localTime(order[field]) : order[field];
    input.dataset.before = input.value;
    inputs[field] = input;
    return make(
      "div",
      { class: "field" },
      make("label", { for: input.id, text: isTime ? `${LABELS[field]} (your clock)` : LABELS[field] }),
      input,
    );
  });
  const refusal = make("p", { class: "note", role: "alert", hidden: true });
  const complain = (/** @type {string} */ words) => {
    write(refusal, words);
    refusal.hidden = false;
  };
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const body = changed(inputs);
    if (!body) return complain("Each field must be a decimal number.");
    if (!Object.keys(body).length) return complain("Nothing is new.");
    try {
      await send("PATCH", `/orders/${order.orderId}`, body);
      tell("Amend accepted", "It waits behind the commands that came before it.");
      dialog.close();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      complain(error.words);
    }
  };
  const side = order.side === "BUY" ? "Buy" : "Sell";
  const what = `${side} ${order.symbol}, ${kindWords(order.type).toLowerCase()}, ${shown(order.filledQuantity)} filled`;
  const dialog = make(
    "dialog",
    { "aria-label": "Amend order", close: () => dialog.remove() },
    make(
      "form",
      { submit, novalidate: true },
      make("h2", { text: "Amend order" }),
      make("p", { class: "quiet", text: what }),
      ...boxes,
      refusal,
      make("p", {
        class: "quiet",
        text: "A new price or a larger quantity goes to the end of its level; a smaller quantity keeps its place.",
      }),
      make(
        "div",
        { class: "actions" },
        make("button", { type: "button", class: "button", text: "Leave it", click: () => dialog.close() }),
        make("button", { type: "submit", class: "button main", text: "Amend" }),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}

/** @param {any} order @returns {string[]} */
function amendable(order) {
  const waits = order.status === "WAITING";
  return [
    waits && order.stopPrice && order.type !== "TRAILING_STOP" ? "stopPrice" : "",
    order.price ? "price" : "",
    order.quantity && !order.groupId ? "quantity" : "",
    order.displayQuantity ? "displayQuantity" : "",
    order.expiresAt ? "expiresAt" : "",
  ].filter(Boolean);
}

/** @param {Record<string, any>} inputs @returns {Record<string, string> | null} Null: one of them is no number. */
function changed(inputs) {
  const body = /** @type {Record<string, string>} */ ({});
  for (const [field, input] of Object.entries(inputs)) {
    if (input.value === input.dataset.before) continue;
    if (field === "expiresAt") {
      body[field] = new Date(input.value).toISOString();
      continue;
    }
    const size = units(input.value);
    if (size === null) return null;
    if (size !== units(input.dataset.before)) body[field] = text(size);
  }
  return body;
}

/** @param {string} instant */
function localTime(instant) {
  const date = new Date(instant);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
