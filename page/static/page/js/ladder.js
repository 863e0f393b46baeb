// The order book as a ladder: asks above, bids below, the last price between. Its rows are made once and written anew.

import { cut, drawn, shown, units } from "./decimal.js";
import { make, mark, soon, write } from "./dom.js";

const ROWS = 20;

export class Ladder {
  /** @type {import("./market_feed.js").Depth | null} */ #depth = null;
  /** @type {Map<string, bigint>} Own open quantity by side and price. */ #own = new Map();
  #status = "";
  #places = { price: 2, quantity: 4 };
  /** @type {Record<"asks" | "bids", any[]>} */ #rows;

  /**
   * @param {HTMLElement} place
   * @param {(price: string, side: "BUY" | "SELL") => void} take Called with the price that the user points at.
   */
  constructor(place, take) {
    this.#rows = { asks: rows("ask"), bids: rows("bid") };
    this.last = make("b", { text: "–" });
    this.spread = make("span", { class: "quiet" });
    this.heads = ["Price", "Size", "Total"].map((text) => make("span", { role: "columnheader", text }));
    this.#render(place);
    place.addEventListener("click", (event) => this.#choose(event.target, take));
    place.addEventListener("keydown", (event) => this.#move(event, take));
  }

  #render(/** @type {HTMLElement} */ place) {
    // One table for a screen reader; to a keyboard it is one stop, with arrow keys inside.
    const head = make("div", { class: "columns", role: "row" }, ...this.heads);
    const side = (/** @type {"asks" | "bids"} */ name, /** @type {any[]} */ inside) =>
      make(
        "div",
        { class: `ladder-side ${name}`, role: "rowgroup", "aria-label": name === "asks" ? "Asks" : "Bids" },
        ...inside,
      );
    const middle = make(
      "div",
      { class: "middle", role: "row" },
      make("span", { role: "cell" }, this.last),
      make("span", { role: "cell", class: "quiet" }, this.spread),
    );
    place.className = "ladder-place";
    place.append(
      make(
        "div",
        { role: "table", "aria-label": "Order book", class: "ladder-table" },
        make("div", { role: "rowgroup" }, head),
        side("asks", [...this.#rows.asks].reverse()),
        make("div", { role: "rowgroup" }, middle),
        side("bids", this.#rows.bids),
      ),
    );
    this.#rows.asks[0].tabIndex = 0;
  }

  /** @param {any} market */
  begin(market, places) {
    this.#places = places;
    this.#depth = null;
    write(this.heads[0], `Price (${market.quote})`);
    write(this.heads[1], `Size (${market.base})`);
    soon(this.draw);
  }

  /** @param {import("./market_feed.js").Depth} depth */
  show(depth) {
    this.#depth = depth;
    this.draw();
  }

  /** @param {Map<string, bigint>} own */
  markOwn(own) {
    this.#own = own;
    soon(this.draw);
  }

  /** @param {{ price: string, side: string } | undefined} trade */
  showLast(trade) {
    write(this.last, trade ? shown(trade.price, this.#places.price) : "–");
    this.last.className = trade ? (trade.side === "BUY" ? "buy" : "sell") : "";
  }

  /** @param {string} words Of a market that does not trade. */
  showStatus(words) {
    this.#status = words;
    write(this.spread, this.#between());
  }

  draw = () => {
    const { asks = [], bids = [] } = this.#depth ?? {};
    const total = Math.max(sum(asks), sum(bids));
    this.#drawSide(this.#rows.asks, asks, "SELL", total);
    this.#drawSide(this.#rows.bids, bids, "BUY", total);
    write(this.spread, this.#between());
  };

  #between() {
    if (this.#status) return this.#status;
    const { spread, indicativePrice, indicativeQuantity } = this.#depth ?? {};
    if (indicativePrice) return `auction ${shown(indicativeQuantity)} at ${shown(indicativePrice, this.#places.price)}`;
    return spread ? `spread ${shown(spread, this.#places.price)}` : "";
  }

  #drawSide(
    /** @type {any[]} */ rows,
    /** @type {any[]} */ levels,
    /** @type {string} */ side,
    /** @type {number} */ total,
  ) {
    let [reached, exact] = [0, 0n];
    rows.forEach((row, index) => {
      const level = levels[index];
      row.classList.toggle("is-blank", !level);
      mark(row, "aria-hidden", level ? null : "true");
      if (!level) return void (row.dataset.price = "");
      reached += drawn(level.quantity);
      exact += units(level.quantity) ?? 0n;
      const own = this.#own.get(`${side} ${level.price}`);
      row.dataset.price = level.price;
      row.lastChild.style.transform = `scaleX(${total ? (reached / total).toFixed(3) : 0})`;
      write(row.children[0], shown(level.price, this.#places.price));
      write(row.children[1], shown(level.quantity, this.#places.quantity));
      write(row.children[2], shown(exact, this.#places.quantity));
      row.classList.toggle("is-own", own !== undefined);
      mark(row, "title", own === undefined ? null : `Your orders here: ${shown(own)}`);
      mark(row, "aria-description", own === undefined ? null : `your orders here: ${shown(own)}`);
    });
  }

  #choose(/** @type {any} */ target, /** @type {any} */ take) {
    const row = target.closest(".level");
    // Whoever points at an ask wants to buy there.
    if (row?.dataset.price) take(cut(row.dataset.price), row.classList.contains("ask") ? "BUY" : "SELL");
  }

  #move(/** @type {KeyboardEvent} */ event, /** @type {any} */ take) {
    const all = [...this.#rows.asks]
      .reverse()
      .concat(this.#rows.bids)
      .filter((row) => row.dataset.price);
    const at = all.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (at >= 0 && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      this.#choose(all[at], take);
    } else if (step) {
      event.preventDefault();
      const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
      for (const row of all) row.tabIndex = row === next ? 0 : -1;
      next?.focus();
    }
  }
}

/** @param {"ask" | "bid"} name */
function rows(name) {
  return Array.from({ length: ROWS }, () =>
    make(
      "div",
      { class: `level ${name} is-blank`, role: "row", tabindex: "-1" },
      make("span", { class: "price", role: "cell" }),
      make("span", { role: "cell" }),
      make("span", { class: "total", role: "cell" }),
      make("span", { class: "bar-of", "aria-hidden": "true" }),
    ),
  );
}

/** @param {import("./market_feed.js").Level[]} levels */
function sum(levels) {
  return levels.reduce((total, level) => total + drawn(level.quantity), 0);
}
