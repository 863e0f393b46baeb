// The elements of the order form, in the order in which one fills it in.

import { make } from "./dom.js";
import { CONDITIONAL } from "./order_kinds.js";
import { kindWords } from "./order_words.js";

const PARTS = [25, 50, 75, 100];
const OPTIONS = ["timeInForce", "expiresAt", "postOnly", "displayQuantity", "selfTradePrevention"];
/** The choice behind which the conditional kinds are. */
export const MORE = "MORE";

/**
 * @param {Record<string, any>} boxes The fields.
 * @param {any} preview
 * @param {{ takePart: (part: number) => void, pick: (type: string) => void, submit: (event: Event) => void }} does
 * @returns {Record<string, any>}
 */
export function layOut(boxes, preview, does) {
  const parts = /** @type {Record<string, any>} */ ({
    sides: make(
      "div",
      { class: "sides", role: "radiogroup", "aria-label": "Side" },
      side("BUY", "Buy"),
      side("SELL", "Sell"),
    ),
    kinds: make(
      "div",
      { class: "choices boxed", role: "radiogroup", "aria-label": "Kind of order" },
      ...["LIMIT", "MARKET", MORE].map(kind),
    ),
    conditional: make(
      "select",
      { class: "input", "aria-label": "Conditional kind", change: () => does.pick(parts.conditional.value) },
      ...CONDITIONAL.map((value) => make("option", { value, text: kindWords(value) })),
    ),
    help: make("p", { class: "quiet" }),
    available: make("span"),
    value: make("span"),
    parts: make(
      "div",
      { class: "parts", role: "group", "aria-label": "Part of what is available" },
      ...PARTS.map((each) => part(each, does.takePart)),
    ),
    more: make(
      "details",
      {},
      make("summary", { text: "More options" }),
      make("div", {}, ...OPTIONS.map((field) => boxes[field])),
    ),
    refusal: make("p", { class: "note", role: "alert", hidden: true }),
    go: make("button", { type: "submit", class: "button go" }),
  });
  const typed = Object.keys(boxes).filter((field) => !OPTIONS.includes(field));
  parts.form = make(
    "form",
    { class: "order-form", novalidate: true, autocomplete: "off", "aria-label": "New order", submit: does.submit },
    ...[parts.sides, parts.kinds, parts.conditional, parts.help, row("Available", parts.available)],
    ...typed.map((field) => boxes[field]),
    ...[parts.parts, row("Value", parts.value), parts.more, preview, parts.refusal, parts.go],
  );
  return parts;
}

function side(/** @type {string} */ name, /** @type {string} */ text) {
  return make("button", { type: "button", role: "radio", class: `of-${name.toLowerCase()}`, "data-side": name, text });
}

function kind(/** @type {string} */ type) {
  return make("button", {
    type: "button",
    role: "radio",
    "data-type": type,
    text: type === MORE ? "Conditional" : kindWords(type),
  });
}

function part(/** @type {number} */ part, /** @type {(part: number) => void} */ take) {
  return make("button", { type: "button", class: "button tiny", text: `${part}%`, click: () => take(part) });
}

function row(/** @type {string} */ words, /** @type {any} */ value) {
  return make("div", { class: "row" }, make("span", { class: "quiet", text: words }), value);
}
