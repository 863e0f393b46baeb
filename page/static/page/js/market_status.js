// Whether the market takes orders. No channel tells it, so it is read every few seconds.

import { get } from "./api.js";
import { byId, write } from "./dom.js";

const EVERY_MS = 5000;
/** What stands in the middle of the book, and what is said above the order form. */
const WORDS = /** @type {Record<string, string[]>} */ ({
  HALTED: ["halted", "Trading is halted. Open orders wait, and can be cancelled; new ones are refused."],
  CANCEL_ONLY: ["cancels only", "This market takes cancels only; new orders are refused."],
  AUCTION: ["", "An auction: limit orders are collected, and trade when it ends."],
  DELISTED: ["delisted", "This market is closed for good."],
});

export class MarketStatus {
  #symbol = "";
  #timer = 0;

  /** @param {import("./ladder.js").Ladder} ladder */
  constructor(ladder) {
    this.ladder = ladder;
  }

  /** @param {any} market As it was listed, which may be long ago. */
  watch(market) {
    this.#symbol = market.symbol;
    this.#show("TRADING");
    this.#read();
  }

  async #read() {
    clearTimeout(this.#timer);
    const symbol = this.#symbol;
    const market = document.hidden ? null : await get(`/markets/${encodeURIComponent(symbol)}`).catch(() => null);
    if (symbol !== this.#symbol) return;
    if (market) this.#show(market.status);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#read(), EVERY_MS);
  }

  #show(/** @type {string} */ status) {
    const [short, words] = WORDS[status] ?? ["", ""];
    this.ladder.showStatus(short);
    write(byId("market-status"), words);
    byId("market-status").hidden = !words;
  }
}
