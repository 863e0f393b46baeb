// What everybody sees of one market: depth, trades, ticker and candles. The socket tells what changes; what may have been missed is
// read again by REST, at each new beginning of a channel and at each stream-reset.

import { get } from "./api.js";
import { soon } from "./dom.js";
import { drawn } from "./decimal.js";

export const TRADES_SHOWN = 60;
const CANDLES_READ = 300;
const MORE_CANDLES = 500;
const FIRST_CORRECTION_MS = 4000;
const CORRECTION_MS = 2000;
const AGAIN_MS = 3000;
export const SECONDS = {
  "1m": 60,
  "5m": 300,
  "15m": 900,
  "1h": 3600,
  "4h": 14400,
  "1d": 86400,
  "1w": 604800,
};

/**
 * @typedef {{ price: string, quantity: string, orderCount: number }} Level
 * @typedef {{ sequence: number, bids: Level[], asks: Level[], bestBid: string | null, bestAsk: string | null, spread: string | null,
 *   indicativePrice?: string | null, indicativeQuantity?: string }} Depth
 * @typedef {{ tradeId: string, sequence: number, price: string, quantity: string, takerSide: "BUY" | "SELL", createdAt: string }} Trade
 * @typedef {{ time: number, open: number, high: number, low: number, close: number, volume: number }} Candle
 */

export class MarketFeed {
  /** @type {Depth | null} */ depth = null;
  /** @type {Trade[]} Newest first. */ trades = [];
  /** @type {any} */ ticker = null;
  /** @type {Candle[]} Oldest first. */ candles = [];
  interval = "1m";
  #listeners = /** @type {Record<string, Set<() => void>>} */ ({});
  #isReadingTrades = false;
  #mustReadAgain = false;
  /** @type {Trade[]} What came while they were read. */ #early = [];
  #hasAllCandles = false;
  #corrections = 0;

  /** @param {import("./socket.js").Socket} socket @param {string} symbol */
  constructor(socket, symbol) {
    this.socket = socket;
    this.symbol = symbol;
  }

  begin() {
    const { socket, symbol } = this;
    this.#readCandles().catch(() => this.#correctSoon(AGAIN_MS));
    this.#readTrades().catch(() => {});
    socket.follow(`depth:${symbol}`, (event, data) => event === "depth" && this.#takeDepth(data));
    socket.follow(`ticker:${symbol}`, (event, data) => event === "ticker" && this.#change("ticker", data));
    socket.follow(`trades:${symbol}`, (event, data) => {
      if (event === "trades") this.#takeTrades(data);
      else this.#readAgain(event === "stream-reset");
    });
    this.#correctSoon(FIRST_CORRECTION_MS);
  }

  end() {
    for (const channel of ["depth", "ticker", "trades"]) this.socket.follow(`${channel}:${this.symbol}`, null);
    clearTimeout(this.#corrections);
    this.#listeners = {};
  }

  /**
   * Called at most once a frame after what is named changed.
   * @param {"depth" | "trades" | "ticker" | "candles" | "reread"} what
   * @param {() => void} listener
   */
  on(what, listener) {
    (this.#listeners[what] ??= new Set()).add(listener);
  }

  /** @param {string} interval */
  choose(interval) {
    this.interval = interval;
    this.candles = [];
    return this.#readCandles();
  }

  /** Older candles, for who scrolls back. */
  async readOlder() {
    if (this.#hasAllCandles || !this.candles.length) return;
    this.#hasAllCandles = true;
    const { interval } = this;
    const before = this.candles[0].time * 1000 - 1;
    const asked = { interval, endTime: before, limit: MORE_CANDLES };
    /** @type {Candle[] | null} */
    const older = await get(`/klines/${this.symbol}`, asked).then(
      (rows) => rows.map(asCandle),
      () => null,
    );
    if (!older) return void (this.#hasAllCandles = false);
    if (interval !== this.interval) return;
    this.#hasAllCandles = older.length === 0;
    this.candles = [...older.filter((candle) => candle.time < this.candles[0].time), ...this.candles];
    this.#tell("reread");
  }

  /** What may have been missed. After a reset the numbers of before count no more. */
  async #readAgain(/** @type {boolean} */ isReset) {
    if (isReset) this.trades = [];
    await this.#readTrades().catch(() => setTimeout(() => this.#readAgain(isReset), AGAIN_MS));
  }

  async #readTrades() {
    // What is being read may be of before the channel was followed.
    this.#mustReadAgain = this.#isReadingTrades;
    if (this.#isReadingTrades) return;
    this.#isReadingTrades = true;
    try {
      const read = /** @type {Trade[]} */ (await get(`/trades/${this.symbol}`, { limit: TRADES_SHOWN }));
      const known = this.trades[0]?.sequence ?? 0;
      const isJoined = known > 0 && read.some((trade) => trade.sequence <= known);
      if (isJoined) {
        this.#addTrades([...read].reverse());
      } else {
        // More was missed than was read: of the candles too.
        if (known && read.length) this.#readCandles().catch(() => this.#correctSoon(AGAIN_MS));
        this.trades = read;
      }
    } finally {
      this.#isReadingTrades = false;
      const early = this.#early;
      this.#early = [];
      this.#addTrades(early);
      this.#tell("trades");
      if (this.#mustReadAgain) this.#readAgain(false);
    }
  }

  async #readCandles() {
    const { interval } = this;
    const read = (await get(`/klines/${this.symbol}`, { interval, limit: CANDLES_READ })).map(asCandle);
    if (interval !== this.interval) return;
    this.candles = read;
    this.#hasAllCandles = read.length < CANDLES_READ;
    this.#tell("reread");
  }

  #takeDepth(/** @type {Depth} */ depth) {
    // A newer book never has a lower number, but after a failover it may: then the whole stream began anew.
    this.#change("depth", depth);
  }

  #takeTrades(/** @type {Trade[]} */ trades) {
    if (this.#isReadingTrades) this.#early.push(...trades);
    else this.#addTrades(trades);
  }

  #addTrades(/** @type {Trade[]} */ trades) {
    const newest = this.trades[0]?.sequence ?? 0;
    const fresh = trades.filter((trade) => trade.sequence > newest);
    if (!fresh.length) return;
    for (const trade of fresh) this.#growCandle(trade);
    this.trades = [...fresh.reverse(), ...this.trades].slice(0, TRADES_SHOWN);
    this.#tell("trades");
    this.#tell("candles");
  }

  #growCandle(/** @type {Trade} */ trade) {
    const [price, quantity] = [drawn(trade.price), drawn(trade.quantity)];
    const time = this.#opening(trade.createdAt);
    const last = this.candles.at(-1);
    if (last && last.time >= time) {
      last.high = Math.max(last.high, price);
      last.low = Math.min(last.low, price);
      last.close = price;
      last.volume += quantity;
      return;
    }
    this.candles.push({ time, open: price, high: price, low: price, close: price, volume: quantity });
    // A trade that was read with the candles, and told too, is counted twice until the candle is closed and read again.
    this.#correctSoon(CORRECTION_MS);
  }

  #correctSoon(/** @type {number} */ pause) {
    clearTimeout(this.#corrections);
    this.#corrections = setTimeout(() => this.#correct().catch(() => this.#correctSoon(AGAIN_MS)), pause);
  }

  #opening(/** @type {string} */ instant) {
    const seconds = Math.floor(Date.parse(instant) / 1000);
    const length = SECONDS[this.interval];
    // Weeks begin on Monday, and the first of January 1970 was a Thursday.
    const shift = this.interval === "1w" ? 4 * 86400 : 0;
    return seconds - ((seconds - shift) % length);
  }

  /** The last candles as the exchange counts them. */
  async #correct() {
    const { interval } = this;
    const read = /** @type {Candle[]} */ ((await get(`/klines/${this.symbol}`, { interval, limit: 3 })).map(asCandle));
    if (interval !== this.interval || !read.length) return;
    this.candles = [...this.candles.filter((candle) => candle.time < read[0].time), ...read];
    this.#tell("reread");
  }

  #change(/** @type {"depth" | "ticker"} */ what, /** @type {any} */ value) {
    this[what] = value;
    this.#tell(what);
  }

  #tell(/** @type {string} */ what) {
    for (const listener of this.#listeners[what] ?? []) soon(listener);
  }
}

/** @param {any} row @returns {Candle} */
function asCandle({ openTime, open, high, low, close, volume }) {
  return {
    time: Date.parse(openTime) / 1000,
    open: drawn(open),
    high: drawn(high),
    low: drawn(low),
    close: drawn(close),
    volume: drawn(volume),
  };
}
