// What the tables of one's own show: a column is its title and what it takes from a row of the API.

import { shown } from "./decimal.js";
import { signed } from "./markets_list.js";
import { price, quantity } from "./places.js";
import { kindWords, stateWords, statusWords } from "./order_words.js";

const instant = new Intl.DateTimeFormat("en-GB", {
  day: "2-digit",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** The time alone of what is of today. @param {string | null} text */
export function when(text) {
  if (!text) return "–";
  const date = new Date(text);
  return date.toDateString() === new Date().toDateString() ? time.format(date) : instant.format(date);
}

const sideTone = (/** @type {any} */ row) => (row.side === "BUY" ? "buy" : "sell");
const gainTone = (/** @type {string | null} */ amount) =>
  !amount || /^-?[0.]*$/.test(amount) ? "" : amount.startsWith("-") ? "sell" : "buy";
const number = (/** @type {string} */ title, /** @type {(row: any) => any} */ value, /** @type {any} */ tone) => ({
  title,
  value,
  isNumber: true,
  tone,
});
const side = {
  title: "Side",
  value: (/** @type {any} */ row) => (row.side === "BUY" ? "Buy" : "Sell"),
  tone: sideTone,
};
const market = { title: "Market", value: (/** @type {any} */ row) => row.symbol };
const kind = { title: "Kind", value: kindOf };
const amountOf = (/** @type {any} */ row) =>
  row.quantity ? quantity(row.symbol, row.quantity) : `for ${shown(row.quoteQuantity)}`;

/** @param {any} order */
function kindOf(order) {
  const more = [
    order.postOnly ? "post only" : "",
    order.displayQuantity ? `shows ${quantity(order.symbol, order.displayQuantity)}` : "",
    order.timeInForce !== "GTC" && order.type === "LIMIT" ? order.timeInForce : "",
    order.groupId ? "OCO" : "",
  ].filter(Boolean);
  return [kindWords(order.type), ...more].join(", ");
}

/** @param {any} order */
function priceOf(order) {
  return order.price ? price(order.symbol, order.price) : "market";
}

/** @param {any} order */
function stopOf(order) {
  const stop = order.stopPrice ? price(order.symbol, order.stopPrice) : "–";
  return order.trailingOffset ? `${stop} (${shown(order.trailingOffset)} behind)` : stop;
}

/** @param {(row: any) => any} buttons */
export const openOrders = (buttons) => [
  { title: "Time", value: (/** @type {any} */ row) => when(row.createdAt) },
  market,
  side,
  kind,
  number("Price", priceOf, null),
  number("Quantity", amountOf, null),
  number("Filled", (row) => quantity(row.symbol, row.filledQuantity), null),
  number("Stop", stopOf, null),
  { title: "Status", value: (/** @type {any} */ row) => statusWords(row.status) },
  { title: "Actions", value: buttons, isUnseen: true },
];

export const pastOrders = [
  { title: "Time", value: (/** @type {any} */ row) => when(row.createdAt) },
  market,
  side,
  kind,
  number("Price", priceOf, null),
  number("Average", (row) => (row.averagePrice ? price(row.symbol, row.averagePrice) : "–"), null),
  number("Quantity", amountOf, null),
  number("Filled", (row) => quantity(row.symbol, row.filledQuantity), null),
  {
    title: "Status",
    value: stateWords,
  },
];

export const fills = [
  { title: "Time", value: (/** @type {any} */ row) => when(row.createdAt) },
  market,
  side,
  number("Price", (row) => price(row.symbol, row.price), null),
  number("Quantity", (row) => quantity(row.symbol, row.quantity), null),
  number("Fee", (row) => `${shown(row.fee)} ${row.feeCurrency}`, null),
  { title: "Role", value: (/** @type {any} */ row) => row.role.toLowerCase() },
  { title: "Order", value: (/** @type {any} */ row) => String(row.orderId) },
];

export const balances = [
  { title: "Asset", value: (/** @type {any} */ row) => row.currency },
  number("Available", (row) => shown(row.availableBalance), null),
  number("In orders", (row) => shown(row.frozenBalance), null),
  number("Total", (row) => shown(row.totalBalance), null),
];

const priced = (/** @type {any} */ row, /** @type {string | null} */ amount) =>
  amount === null ? "–" : `${shown(amount, 2)} ${row.costCurrency}`;

export const positions = [
  { title: "Asset", value: (/** @type {any} */ row) => row.asset },
  number("Quantity", (row) => shown(row.quantity), null),
  number("Average cost", (row) => priced(row, row.averageCost), null),
  number("Last price", (row) => priced(row, row.markPrice), null),
  number("Value", (row) => priced(row, row.marketValue), null),
  number(
    "Open profit",
    (row) => (row.unrealizedPnl === null ? "–" : signed(row.unrealizedPnl, 2)),
    (/** @type {any} */ row) => gainTone(row.unrealizedPnl),
  ),
  number(
    "Realised profit",
    (row) => (row.realizedPnl === null ? "–" : signed(row.realizedPnl, 2)),
    (/** @type {any} */ row) => gainTone(row.realizedPnl),
  ),
];

export const statement = [
  { title: "Time", value: (/** @type {any} */ row) => when(row.createdAt) },
  { title: "Kind", value: (/** @type {any} */ row) => statusWords(row.kind) },
  number(
    "Amount",
    (row) => signed(row.amount),
    (/** @type {any} */ row) => gainTone(row.amount),
  ),
  { title: "Reference", value: (/** @type {any} */ row) => row.reference },
];
