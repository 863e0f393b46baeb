// What the parts of the account page are made of.

import { Refusal } from "./api.js";
import { make, write } from "./dom.js";

/** @param {string} title @param {...any} inside */
export function part(title, ...inside) {
  return make("section", { class: "panel" }, make("h2", { text: title }), ...inside);
}

/**
 * A form of named fields. What is refused is said in the exchange's own words.
 * @param {Record<string, any>} fields By name: `words`, and what an input has.
 * @param {string} action
 * @param {(values: Record<string, string>) => Promise<void>} run
 */
export function form(fields, action, run) {
  const inputs = /** @type {Record<string, any>} */ ({});
  const boxes = Object.entries(fields).map(([name, { words, ...more }]) => {
    inputs[name] = make("input", { id: `account-${name}`, name, class: "input", ...more });
    return make("div", { class: "field" }, make("label", { for: `account-${name}`, text: words }), inputs[name]);
  });
  const refusal = make("p", { class: "note", role: "alert", hidden: true });
  const go = make("button", { type: "submit", class: "button main", text: action });
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    refusal.hidden = true;
    go.disabled = true;
    try {
      await run(
        Object.fromEntries(
          Object.entries(inputs).map(([name, input]) => [
            name,
            input.type === "checkbox" ? String(input.checked) : input.value,
          ]),
        ),
      );
      for (const input of Object.values(inputs)) if (input.type !== "checkbox") input.value = "";
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      write(refusal, error.words);
      refusal.hidden = false;
    } finally {
      go.disabled = false;
    }
  };
  return make("form", { class: "fields", novalidate: true, submit }, ...boxes, refusal, make("div", {}, go));
}
