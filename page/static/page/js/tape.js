// Recent trades, newest first. A new trade moves the last row to the top: nothing else is touched.

import { shown } from "./decimal.js";
import { make, write } from "./dom.js";
import { TRADES_SHOWN } from "./market_feed.js";

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export class Tape {
  #newest = 0;
  #places = { price: 2, quantity: 4 };

  /** @param {HTMLElement} place */
  constructor(place) {
    this.heads = ["Price", "Size", "Time"].map((text, index) =>
      make("th", { scope: "col", class: index ? "number" : null, text }),
    );
    this.body = make("tbody");
    const caption = make("caption", { class: "unseen", text: "Recent trades, newest first" });
    place.append(make("table", {}, caption, make("thead", {}, make("tr", {}, ...this.heads)), this.body));
  }

  /** @param {any} market */
  begin(market, places) {
    this.#places = places;
    this.#newest = 0;
    this.body.replaceChildren();
    write(this.heads[0], `Price (${market.quote})`);
    write(this.heads[1], `Size (${market.base})`);
  }

  /** @param {import("./market_feed.js").Trade[]} trades Newest first. */
  show(trades) {
    const fresh = trades.filter((trade) => trade.sequence > this.#newest);
    for (const trade of fresh.reverse()) this.#add(trade);
    this.#newest = trades[0]?.sequence ?? 0;
  }

  #add(/** @type {import("./market_feed.js").Trade} */ trade) {
    const row = this.body.children.length < TRADES_SHOWN ? emptyRow() : this.body.lastChild;
    const [price, quantity, time] = row.children;
    price.className = trade.takerSide === "BUY" ? "buy" : "sell";
    write(price, shown(trade.price, this.#places.price));
    write(quantity, shown(trade.quantity, this.#places.quantity));
    write(time, clock.format(new Date(trade.createdAt)));
    row.title = trade.takerSide === "BUY" ? "the taker bought" : "the taker sold";
    this.body.prepend(row);
  }
}

function emptyRow() {
  return make("tr", {}, make("td"), make("td", { class: "number" }), make("td", { class: "number" }));
}
