// The market's figures of 24 hours, and the list of all markets to choose from.

import { get } from "./api.js";
import { placesOf, shown, units } from "./decimal.js";
import { byId, make, write } from "./dom.js";

const EVERY_MS = 10_000;
const lastPlace = /** @type {any} */ (document.querySelector('[data-figure="last"]'));

/**
 * @param {any} ticker
 * @param {any} market
 * @param {string | undefined} last The newest trade's price, which is known sooner than the ticker.
 */
export function showFigures(ticker, market, last) {
  const places = placesOf(market.tickSize);
  const figures = {
    change: `${signed(ticker.priceChange, places)}  ${percent(ticker.priceChangePercent)}`,
    high: shown(ticker.high, places),
    low: shown(ticker.low, places),
    volume: `${short(ticker.volume)} ${market.base}`,
    turnover: `${short(ticker.quoteVolume)} ${market.quote}`,
  };
  for (const [name, value] of Object.entries(figures)) {
    const place = /** @type {any} */ (document.querySelector(`[data-figure="${name}"]`));
    write(place, value);
    if (name === "change") place.className = tone(ticker.priceChange);
  }
  lastPlace.className = tone(ticker.priceChange);
  showLastPrice(last ?? ticker.lastPrice, market);
}

/** Alone, because it changes with every trade. @param {string} price @param {any} market */
export function showLastPrice(price, market) {
  const text = shown(price, placesOf(market.tickSize));
  write(lastPlace, text);
  const title = `${text} ${market.symbol} · Clearbell`;
  if (document.title !== title) document.title = title;
}

/** The menu of markets, which is read again while it is open. */
export class MarketsList {
  #timer = 0;
  /** @param {any[]} markets @param {(symbol: string) => void} choose */
  constructor(markets, choose) {
    this.markets = markets;
    this.button = byId("market-button");
    this.menu = byId("markets");
    this.button.addEventListener("click", () => this.#toggle(this.menu.hidden));
    this.menu.addEventListener("click", (/** @type {any} */ event) => {
      const link = event.target.closest("a");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.#toggle(false);
      choose(link.dataset.symbol);
    });
    document.addEventListener(
      "keydown",
      (event) => event.key === "Escape" && !this.menu.hidden && (this.#toggle(false), this.button.focus()),
    );
    document.addEventListener(
      "pointerdown",
      (/** @type {any} */ event) => event.target.closest(".market") || this.#toggle(false),
    );
  }

  #toggle(/** @type {boolean} */ open) {
    this.menu.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    clearInterval(this.#timer);
    if (!open) return;
    this.#read();
    this.#timer = setInterval(() => this.#read(), EVERY_MS);
  }

  async #read() {
    const tickers = new Map(
      (await get("/ticker").catch(() => [])).map((/** @type {any} */ each) => [each.symbol, each]),
    );
    const current = byId("symbol").textContent;
    const rows = this.markets.map((market) => {
      const ticker = tickers.get(market.symbol);
      const link = make("a", {
        href: `/m/${encodeURIComponent(market.symbol)}`,
        "data-symbol": market.symbol,
        "aria-current": market.symbol === current ? "page" : null,
        text: market.symbol,
      });
      return make(
        "tr",
        {},
        make("td", {}, link),
        make("td", { class: "number", text: ticker ? shown(ticker.lastPrice, placesOf(market.tickSize)) : "–" }),
        make("td", {
          class: `number ${tone(ticker?.priceChange)}`,
          text: ticker ? percent(ticker.priceChangePercent) : "–",
        }),
        make("td", {
          class: "number quiet",
          text: market.status === "TRADING" ? short(ticker?.quoteVolume) : market.status,
        }),
      );
    });
    const heads = ["Market", "Last", "24 h", "Turnover"].map((text, index) =>
      make("th", { scope: "col", class: index ? "number" : null, text }),
    );
    this.menu.replaceChildren(
      make(
        "table",
        { class: "list" },
        make("caption", { class: "unseen", text: "Markets" }),
        make("thead", {}, make("tr", {}, ...heads)),
        make("tbody", {}, ...rows),
      ),
    );
  }
}

/** @param {string | null | undefined} change */
function tone(change) {
  const size = units(change);
  return !size ? "" : size > 0n ? "buy" : "sell";
}

/** @param {string | null} amount @param {number} [places] */
export function signed(amount, places) {
  return amount === null ? "–" : (/^-|^0*\.?0*$/.test(amount) ? "" : "+") + shown(amount, places);
}

/** @param {string | null} amount */
function percent(amount) {
  return amount === null ? "–" : `${signed(amount, 2)}%`;
}

/** @param {string | null | undefined} amount */
export function short(amount) {
  if (amount === null || amount === undefined) return "–";
  return new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 }).format(Number(amount));
}
