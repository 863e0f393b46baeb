// What would become of the order now, as the exchange works it out: asked for a moment after the last change.

import { Refusal, send } from "./api.js";
import { shown } from "./decimal.js";
import { make } from "./dom.js";
import { reasonWords, statusWords } from "./order_words.js";

const PAUSE_MS = 350;

export class Preview {
  place = make("div", { class: "preview", hidden: true });
  #asked = "";
  #timer = 0;

  /** @param {any} body The order, or null where there is none yet. @param {any} market */
  look(body, market) {
    const asked = body ? JSON.stringify(body) : "";
    if (asked === this.#asked) return;
    this.#asked = asked;
    clearTimeout(this.#timer);
    this.place.hidden = !asked;
    this.place.classList.add("is-old");
    if (asked) this.#timer = setTimeout(() => this.#read(body, asked, market), PAUSE_MS);
  }

  async #read(/** @type {any} */ body, /** @type {string} */ asked, /** @type {any} */ market) {
    let rows;
    try {
      rows = inWords(await send("POST", "/orders/preview", body), market);
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      rows = [["Preview", refusal.words]];
    }
    if (asked !== this.#asked) return;
    this.place.classList.remove("is-old");
    this.place.replaceChildren(
      ...rows.map(([name, value]) =>
        make("div", { class: "row" }, make("span", { class: "quiet", text: name }), make("span", { text: value })),
      ),
    );
  }
}

/** @param {any} told @param {any} market @returns {string[][]} */
function inWords(told, market) {
  if (told.errors.length) return told.errors.map((/** @type {any} */ error) => ["Would be refused", error.message]);
  const reason = reasonWords(told.reason);
  const rows = [["Now it would be", statusWords(told.status).toLowerCase() + (reason ? `: ${reason}` : "")]];
  if (told.fills.length) {
    rows.push(["Fills", `${shown(told.filledQuantity)} ${market.base} at ${shown(told.averagePrice)}`]);
    rows.push(["Fee", `${shown(told.fee)} ${told.feeCurrency}`]);
  }
  for (const balance of told.balancesAfter)
    rows.push([`${balance.currency} after it`, `${shown(balance.availableBalance)} available`]);
  return rows;
}
