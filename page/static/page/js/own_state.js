// What is the user's own: open orders and balances. Read by REST, kept true by the channel of orders.

import { get, whole } from "./api.js";
import { shown, units } from "./decimal.js";
import { soon } from "./dom.js";
import { tell } from "./notices.js";
import { price as priceOf } from "./places.js";
import { endWords, reasonWords } from "./order_words.js";

const FILLS_JOINED_MS = 250;
const READ_AGAIN_MS = 700;
const MOST_OPEN = 500;

/** @typedef {Record<string, any>} Order As the API writes it. */

export class OwnState {
  /** @type {Map<number, Order>} Open orders by id. */ orders = new Map();
  /** @type {Map<string, { availableBalance: string, frozenBalance: string, totalBalance: string }>} */ balances =
    new Map();
  /** @type {Map<string, any>} Rates by market. */ fees = new Map();
  /** Whether the balances were read. */
  isKnown = false;
  /** How often something closed or traded: lists of the past are read again by it. */ changes = 0;
  /** @type {Record<string, number>} By market: the number of the event up to which all is known. */ #known = {};
  /** @type {Record<string, number>} */ #told = {};
  #listeners = new Set();
  /** @type {Map<number, { order: Order, quantity: bigint, quote: bigint }>} */ #fills = new Map();
  #timers = { balances: 0, fills: 0 };
  #isOpen = false;

  /** @param {import("./socket.js").Socket} socket */
  constructor(socket) {
    this.socket = socket;
  }

  begin() {
    this.#isOpen = true;
    this.socket.follow("orders", (event, data) => {
      if (event === "order-status-update") this.#take(data);
      else if (event === "subscribed") this.readAll().catch(() => {});
      else if (event === "stream-reset") this.#reset();
    });
    // Where there is no connection yet, nothing says that the channel is followed.
    return this.socket.state === "waiting" ? this.readAll() : Promise.resolve();
  }

  end() {
    this.#isOpen = false;
    this.socket.follow("orders", null);
    this.isKnown = false;
    this.orders.clear();
    this.balances.clear();
    this.fees.clear();
    this.#known = {};
    this.#told = {};
    this.#tell();
  }

  /** Called at most once a frame after a change. @param {() => void} listener */
  on(listener) {
    this.#listeners.add(listener);
  }

  /** @param {string} currency */
  available(currency) {
    return units(this.balances.get(currency)?.availableBalance ?? "0") ?? 0n;
  }

  /** Own open quantity in the book, by side and price. @param {string} symbol */
  resting(symbol) {
    const by = /** @type {Map<string, bigint>} */ (new Map());
    for (const order of this.orders.values()) {
      if (order.symbol !== symbol || !order.price || !["OPEN", "PARTIALLY_FILLED"].includes(order.status)) continue;
      const key = `${order.side} ${order.price}`;
      by.set(key, (by.get(key) ?? 0n) + (units(order.remainingQuantity) ?? 0n));
    }
    return by;
  }

  async readAll() {
    const [open, account, fees] = await Promise.all([
      whole("/orders", { active: true, limit: MOST_OPEN }),
      whole("/account"),
      get("/fees"),
    ]);
    if (!this.#isOpen) return;
    this.#know(open.asOf);
    this.orders = new Map(open.data.map((/** @type {Order} */ order) => [order.orderId, order]));
    this.#takeBalances(account.data.balances);
    this.fees = new Map(fees.map((/** @type {any} */ row) => [row.symbol, row]));
    this.changes += 1;
    this.#tell();
  }

  /** After something was frozen for an order. */
  readBalancesSoon() {
    this.#later("balances", () => this.#readBalances(), READ_AGAIN_MS);
  }

  #know(/** @type {Record<string, number>} */ asOf) {
    for (const [symbol, number] of Object.entries(asOf ?? {})) this.#known[symbol] = number;
  }

  #reset() {
    this.#known = {};
    this.#told = {};
    this.readAll().catch(() => {});
  }

  #take(/** @type {Order} */ order) {
    if (order.sequence > (this.#told[order.symbol] ?? 0)) {
      this.#told[order.symbol] = order.sequence;
      this.#announce(order);
    }
    if (order.sequence <= (this.#known[order.symbol] ?? 0)) return;
    this.#known[order.symbol] = order.sequence;
    this.#look(order);
    if (order.active) this.orders.set(order.orderId, order);
    else this.orders.delete(order.orderId);
    if (!order.active || order.lastTrade) this.changes += 1;
    this.readBalancesSoon();
    this.#tell();
  }

  /** A hole: more was filled than what was known and this event's fill come to. */
  #look(/** @type {Order} */ order) {
    const before = this.orders.get(order.orderId);
    if (!before) return;
    const fill = units(order.lastTrade?.quantity ?? "0") ?? 0n;
    if (units(before.filledQuantity) + fill !== units(order.filledQuantity)) this.readAll().catch(() => {});
  }

  async #readBalances() {
    if (!this.#isOpen) return;
    this.#takeBalances(await get("/balances"));
    this.#tell();
  }

  #takeBalances(/** @type {any[]} */ rows) {
    this.balances = new Map(rows.map((row) => [row.currency, row]));
    this.isKnown = true;
  }

  #announce(/** @type {Order} */ order) {
    if (order.lastTrade) {
      const joined = this.#fills.get(order.orderId) ?? { order, quantity: 0n, quote: 0n };
      const quantity = units(order.lastTrade.quantity) ?? 0n;
      this.#fills.set(order.orderId, {
        order,
        quantity: joined.quantity + quantity,
        quote: joined.quote + quantity * (units(order.lastTrade.price) ?? 0n),
      });
      this.#later("fills", () => this.#tellFills(), FILLS_JOINED_MS);
    }
    if (["AMENDED", "TRIGGERED"].includes(order.reason)) tell(reasonWords(order.reason), nameOf(order));
    else if (order.reason === "AMEND_REFUSED") tell(reasonWords(order.reason), nameOf(order), "bad");
    else if (!order.active && order.status !== "FILLED")
      tell(endWords(order), nameOf(order), order.reason === "USER_CANCELLED" ? "" : "bad");
  }

  #tellFills() {
    for (const { order, quantity, quote } of this.#fills.values()) {
      const [base] = order.symbol.split("-");
      const verb = order.side === "BUY" ? "Bought" : "Sold";
      const rest = order.active ? `, ${shown(order.remainingQuantity)} still open` : "";
      tell(`${verb} ${shown(quantity)} ${base}`, `at ${priceOf(order.symbol, quote / quantity)}${rest}`, "good");
    }
    this.#fills.clear();
  }

  #later(/** @type {"balances" | "fills"} */ name, /** @type {() => any} */ run, /** @type {number} */ pause) {
    this.#timers[name] ||= setTimeout(() => {
      this.#timers[name] = 0;
      Promise.resolve(run()).catch(() => {});
    }, pause);
  }

  #tell() {
    for (const listener of this.#listeners) soon(listener);
  }
}

/** @param {Order} order */
function nameOf(order) {
  const price = order.price ?? order.stopPrice;
  const amount = order.quantity ? shown(order.quantity) : `for ${shown(order.quoteQuantity)}`;
  return `${order.symbol} ${order.side} ${amount}${price ? ` at ${priceOf(order.symbol, price)}` : ""}`;
}
