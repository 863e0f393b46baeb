// The rules of a market as the exchange has them, looked at while one types. The exchange decides: this only says it sooner.

import { ONE, over, shown, text, times, timesUp, units } from "./decimal.js";
import { KINDS, LABELS } from "./order_kinds.js";

const MOST_TIPS = 1000n;
const SOONEST_MS = 1000;
const ON_TICK = ["price", "stopPrice", "stopLimitPrice", "trailingOffset"];
const ON_LOT = ["quantity", "displayQuantity"];

/**
 * @typedef {object} Draft
 * @property {string} type One of KINDS.
 * @property {"BUY" | "SELL"} side
 * @property {Record<string, string>} values As typed, by field.
 * @property {any} market
 * @property {bigint | null} reference The last price, or the middle of the book.
 * @property {{ base: bigint, quote: bigint } | null} funds What is available; null: nobody is signed in.
 * @property {any} fees The user's rates there, or null.
 */

/** The fields that the order has now. @param {Draft} draft */
export function fieldsOf({ type, side, values }) {
  const kind = KINDS[type];
  const fields = kind.fields.filter((field) => field !== "stopLimitPrice" || side === "BUY" || values.stopLimitPrice);
  return kind.byQuote && side === "BUY" && values.by === "quote"
    ? fields.map((field) => (field === "quantity" ? "quoteQuantity" : field))
    : fields;
}

/**
 * The first broken rule of each field, in words.
 * @param {Draft} draft
 * @returns {Record<string, string>}
 */
export function broken(draft) {
  const wrong = /** @type {Record<string, string>} */ ({});
  const optional = KINDS[draft.type].options.filter((field) => field === "displayQuantity" && draft.values[field]);
  for (const field of [...fieldsOf(draft), ...optional]) {
    const words = ofNumber(draft, field);
    if (words) wrong[field] = words;
  }
  if (draft.type === "OCO" && draft.values.stopLimitPrice && !wrong.stopLimitPrice) {
    const words = ofNumber(draft, "stopLimitPrice");
    if (words) wrong.stopLimitPrice = words;
  }
  for (const rule of [display, expiry, targets, band, notional, funds]) {
    const found = rule(draft, wrong);
    if (found && !wrong[found.field]) wrong[found.field] = found.words;
  }
  return wrong;
}

function ofNumber(/** @type {Draft} */ { values, market }, /** @type {string} */ field) {
  const written = values[field] ?? "";
  const label = LABELS[field].toLowerCase();
  if (!written.trim()) return `${label} is required`;
  const size = units(written);
  if (size === null) return `${label} must be a number such as 1234.5, with a point and 8 places at most`;
  if (size <= 0n) return `${label} must be positive`;
  const step = ON_TICK.includes(field) ? market.tickSize : ON_LOT.includes(field) ? market.lotSize : null;
  if (step && size % (units(step) ?? 1n) !== 0n) return `${label} ${written} is not a multiple of ${step}`;
  if (field !== "quantity") return "";
  if (size < (units(market.minQuantity) ?? 0n)) return `quantity is below ${market.minQuantity}`;
  return size > (units(market.maxQuantity) ?? size) ? `quantity is above ${market.maxQuantity}` : "";
}

/** @param {Draft} draft @param {string} field */
export const amount = (draft, field) => units(draft.values[field]);

function display(/** @type {Draft} */ draft) {
  const [shownAtATime, quantity] = [amount(draft, "displayQuantity"), amount(draft, "quantity")];
  if (!KINDS[draft.type].options.includes("displayQuantity") || shownAtATime === null || quantity === null) return null;
  const field = "displayQuantity";
  if (!["GTC", "GTD"].includes(draft.values.timeInForce)) return { field, words: "an iceberg rests: GTC or GTD only" };
  if (shownAtATime >= quantity) return { field, words: "show less than the quantity" };
  if (shownAtATime < (units(draft.market.minQuantity) ?? 0n))
    return { field, words: `not below ${draft.market.minQuantity}` };
  return shownAtATime * MOST_TIPS < quantity
    ? { field, words: `at least ${text((quantity + MOST_TIPS - 1n) / MOST_TIPS)}` }
    : null;
}

function expiry(/** @type {Draft} */ { type, values }) {
  if (!KINDS[type].options.includes("expiresAt") || values.timeInForce !== "GTD") return null;
  const until = Date.parse(values.expiresAt);
  if (Number.isNaN(until)) return { field: "expiresAt", words: "until is required" };
  return until < Date.now() + SOONEST_MS
    ? { field: "expiresAt", words: "until must be at least a second ahead" }
    : null;
}

/** An OCO has its target on the better side of the last price, and its stop on the worse one. */
function targets(/** @type {Draft} */ draft) {
  const [price, stop] = [amount(draft, "price"), amount(draft, "stopPrice")];
  if (draft.type !== "OCO" || price === null || stop === null) return null;
  const between = draft.reference ?? price;
  const [above, below] = draft.side === "SELL" ? [price, stop] : [stop, price];
  if (above > between && below < between) return null;
  const last = draft.reference === null ? "" : ` of ${shown(draft.reference)}`;
  const words =
    draft.side === "SELL" ? "the target stands above and the stop below" : "the target stands below and the stop above";
  return { field: "stopPrice", words: `${words} the last price${last}` };
}

/** A taker trades no further from the last price than the market's band. */
function band(/** @type {Draft} */ draft) {
  const [part, price] = [units(draft.market.priceBand), amount(draft, "price")];
  if (draft.type !== "LIMIT" || !part || price === null || !draft.reference) return null;
  const edge = times(draft.reference, draft.side === "BUY" ? ONE + part : ONE - part);
  if (draft.side === "BUY" ? price <= edge : price >= edge) return null;
  return { field: "price", words: `the price band ends at ${shown(edge)}` };
}

/** What the order is worth in quote, at its own price or at the last one. @param {Draft} draft @returns {bigint | null} */
export function worth(draft) {
  const spent = amount(draft, "quoteQuantity");
  if (fieldsOf(draft).includes("quoteQuantity")) return spent;
  const quantity = amount(draft, "quantity");
  const has = (/** @type {string} */ field) => (KINDS[draft.type].fields.includes(field) ? amount(draft, field) : null);
  const dearer = draft.type === "OCO" && draft.side === "BUY" ? amount(draft, "stopLimitPrice") : null;
  const price = dearer ?? has("price") ?? has("stopPrice") ?? draft.reference;
  return quantity === null || price === null ? null : times(quantity, price);
}

function notional(/** @type {Draft} */ draft) {
  const [value, { market }] = [worth(draft), draft];
  if (value === null) return null;
  const field = fieldsOf(draft).at(-1) ?? "quantity";
  if (value < (units(market.minNotional) ?? 0n))
    return { field, words: `an order is worth ${market.minNotional} ${market.quote} at least` };
  return value > (units(market.maxNotional) ?? value)
    ? { field, words: `an order is worth ${market.maxNotional} ${market.quote} at most` }
    : null;
}

/** What would be frozen for it: base of a SELL, quote of a BUY; null: not known. @param {Draft} draft @returns {bigint | null} */
export function needed(draft) {
  if (draft.side === "SELL") return amount(draft, "quantity");
  const isByQuote = fieldsOf(draft).includes("quoteQuantity");
  if (!isByQuote && !KINDS[draft.type].fields.includes("price")) return null;
  const value = worth(draft);
  if (value === null || isByQuote || draft.market.feeCurrency !== "QUOTE") return value;
  return value + timesUp(value, dearestRate(draft));
}

/** @param {Draft} draft */
function dearestRate({ market, fees }) {
  const rates = [fees ?? market].flatMap((row) => [units(row.makerFeeRate) ?? 0n, units(row.takerFeeRate) ?? 0n]);
  return rates.reduce((most, rate) => (rate > most ? rate : most), 0n);
}

function funds(/** @type {Draft} */ draft) {
  const need = needed(draft);
  if (!draft.funds) return null;
  const [has, unit] =
    draft.side === "SELL" ? [draft.funds.base, draft.market.base] : [draft.funds.quote, draft.market.quote];
  const field = fieldsOf(draft).at(-1) ?? "quantity";
  if (need === null) return has > 0n ? null : { field, words: `no ${unit} is available` };
  return need > has ? { field, words: `${shown(need)} ${unit} needed, ${shown(has)} available` } : null;
}

/**
 * How much a part of what is available buys or sells; null where that is not known.
 * @param {Draft} draft
 * @param {bigint} part In hundredths.
 */
export function share(draft, part) {
  if (!draft.funds) return null;
  if (draft.side === "SELL") return (draft.funds.base * part) / 100n;
  const spendable = (draft.funds.quote * part) / 100n;
  if (fieldsOf(draft).includes("quoteQuantity")) return spendable;
  const one = worth({ ...draft, values: { ...draft.values, quantity: "1" } });
  if (!one) return null;
  const withFee = draft.market.feeCurrency === "QUOTE" ? one + timesUp(one, dearestRate(draft)) : one;
  return over(spendable, withFee);
}
