// The fields of the order form: made once, shown where the kind has them.

import { make, mark, write } from "./dom.js";
import { LABELS, PREVENTIONS, TIMES } from "./order_kinds.js";

const TYPED = [
  "stopPrice",
  "price",
  "stopLimitPrice",
  "trailingOffset",
  "quantity",
  "quoteQuantity",
  "displayQuantity",
];

export class OrderFields {
  /** @type {Record<string, any>} The elements that hold a value, by field. */ inputs = {};
  /** @type {Record<string, any>} What is shown or hidden. */ boxes = {};
  /** @type {Record<string, any>} Where a broken rule is said. */ #wrong = {};
  /** @type {Record<string, any>} */ #units = {};
  /** Fields that the user has touched: only of these is said what is wrong. */ touched = new Set();

  /** @param {() => void} changed @param {() => void} switchUnit */
  constructor(changed, switchUnit) {
    for (const field of TYPED) this.#typed(field, switchUnit);
    this.#chosen("timeInForce", TIMES);
    this.#until();
    this.#checked("postOnly");
    this.#chosen("selfTradePrevention", PREVENTIONS);
    for (const [field, input] of Object.entries(this.inputs)) {
      input.addEventListener("input", () => {
        this.touched.add(field);
        changed();
      });
    }
  }

  /** @returns {Record<string, string>} As typed. */
  get values() {
    const values = /** @type {Record<string, string>} */ ({});
    for (const [field, input] of Object.entries(this.inputs)) {
      values[field] = input.type === "checkbox" ? (input.checked ? "yes" : "") : input.value.trim();
    }
    return values;
  }

  /** @param {string} field @param {string} value */
  set(field, value) {
    this.inputs[field].value = value;
    this.touched.add(field);
  }

  /** @param {string[]} fields */
  show(fields) {
    for (const [field, box] of Object.entries(this.boxes)) box.hidden = !fields.includes(field);
  }

  /** @param {string} field @param {string} unit @param {string} [words] What a press changes; without them it is no button. */
  unit(field, unit, words) {
    write(this.#units[field], unit);
    mark(this.#units[field], "aria-label", words ?? null);
    this.#units[field].disabled = !words;
  }

  /** @param {Record<string, string>} wrong @param {boolean} all Also of what was not touched. */
  complain(wrong, all) {
    for (const [field, place] of Object.entries(this.#wrong)) {
      const words = all || this.touched.has(field) ? (wrong[field] ?? "") : "";
      write(place, words);
      place.hidden = !words;
      mark(this.inputs[field], "aria-invalid", words ? "true" : null);
      this.inputs[field].parentElement.classList.toggle("is-wrong", Boolean(words));
    }
  }

  #typed(/** @type {string} */ field, /** @type {() => void} */ switchUnit) {
    const input = make("input", {
      id: `field-${field}`,
      name: field,
      inputmode: "decimal",
      autocomplete: "off",
      spellcheck: "false",
      "aria-describedby": `wrong-${field}`,
    });
    this.#units[field] = make("button", { type: "button", class: "unit", disabled: true, click: switchUnit });
    const label = make("label", { for: input.id, text: LABELS[field] });
    this.#keep(field, input, make("div", { class: "input is-inline" }, label, input, this.#units[field]));
  }

  #chosen(/** @type {string} */ field, /** @type {Record<string, string>} */ words) {
    const options = Object.entries(words).map(([value, text]) => make("option", { value, text }));
    const input = make("select", { id: `field-${field}`, name: field, class: "input" }, ...options);
    const label = make("label", { for: input.id, text: LABELS[field] });
    this.#keep(field, input, make("div", { class: "field" }, label, input));
  }

  #until() {
    const input = make("input", {
      id: "field-expiresAt",
      name: "expiresAt",
      type: "datetime-local",
      step: "1",
      class: "input",
      "aria-describedby": "wrong-expiresAt",
    });
    const label = make("label", { for: input.id, text: `${LABELS.expiresAt} (your clock)` });
    this.#keep("expiresAt", input, make("div", { class: "field" }, label, input));
  }

  #checked(/** @type {string} */ field) {
    const input = make("input", { id: `field-${field}`, name: field, type: "checkbox" });
    this.#keep(field, input, make("label", { class: "check" }, input, LABELS[field]));
  }

  #keep(/** @type {string} */ field, /** @type {any} */ input, /** @type {any} */ inside) {
    this.inputs[field] = input;
    this.#wrong[field] = make("p", { class: "wrong", id: `wrong-${field}`, hidden: true });
    this.boxes[field] = make("div", {}, inside, this.#wrong[field]);
  }
}
