// The panel of the charts: candles or depth, and the interval of the candles.

import { get } from "./api.js";
import { CandleChart } from "./candle_chart.js";
import { DepthChart } from "./depth_chart.js";
import { byId, choices, make } from "./dom.js";
import { SECONDS } from "./market_feed.js";

const DEEP = 200;
const DEEP_MS = 2500;

export class Charts {
  /** @type {import("./market_feed.js").MarketFeed | null} */ #feed = null;
  #timer = 0;

  constructor() {
    this.candles = new CandleChart(byId("candles"));
    this.depth = new DepthChart(byId("depth"));
    for (const interval of Object.keys(SECONDS)) {
      byId("intervals").append(
        make("button", { type: "button", "aria-pressed": String(interval === "1m"), text: interval }),
      );
    }
    choices(byId("intervals"), "aria-pressed", (button) => this.#feed?.choose(button.textContent));
    choices(byId("plots"), "aria-pressed", (button) => this.#show(button.dataset.plot === "depth"));
  }

  /** @param {import("./market_feed.js").MarketFeed} feed @param {{ price: number }} places */
  begin(feed, places) {
    this.#feed = feed;
    this.depth.begin(places);
    this.candles.begin(feed, places);
    const showDepth = () => feed.depth && this.depth.show(feed.depth);
    feed.on("depth", showDepth);
    feed.on("candles", () => this.candles.showLast());
    feed.on("reread", () => (this.candles.showAll(), this.candles.describe()));
    showDepth();
  }

  #show(/** @type {boolean} */ isDepth) {
    byId("depth").hidden = !isDepth;
    byId("candles").hidden = byId("legend").hidden = byId("intervals").hidden = isDepth;
    this.depth.draw();
    this.#readDeep();
  }

  /** The stream tells the best levels; for the depth chart, while it is seen, more of them are read. */
  async #readDeep() {
    clearTimeout(this.#timer);
    const feed = this.#feed;
    if (byId("depth").hidden || !feed) return;
    const deep = document.hidden ? null : await get(`/orderbook/${feed.symbol}`, { limit: DEEP }).catch(() => null);
    if (deep && this.#feed === feed) this.depth.showDeep(deep);
    this.#timer = setTimeout(() => this.#readDeep(), DEEP_MS);
  }
}
