// Run by node from test_files.py, beside a copy of the page's modules: what the form says while one types.

import assert from "node:assert/strict";
import test from "node:test";

import { text, units } from "./js/decimal.js";
import { broken, fieldsOf, needed, share } from "./js/order_rules.js";

const market = {
  base: "BTC",
  quote: "USD",
  tickSize: "0.01",
  lotSize: "0.0001",
  minQuantity: "0.001",
  maxQuantity: "100",
  minNotional: "10",
  maxNotional: "1000000",
  priceBand: "0.1",
  makerFeeRate: "0.0005",
  takerFeeRate: "0.001",
  feeCurrency: "RECEIVED",
};

function draft(type, side, values, more = {}) {
  const funds = { base: units("5"), quote: units("1000") };
  const all = { timeInForce: "GTC", by: "base", ...values };
  return { type, side, values: all, market: { ...market, ...more }, reference: units("100"), funds, fees: null };
}

const said = (...of) => broken(draft(...of));

test("what is right is right", () => {
  assert.deepEqual(said("LIMIT", "BUY", { price: "99.99", quantity: "1" }), {});
  assert.deepEqual(said("MARKET", "SELL", { quantity: "5" }), {});
  assert.deepEqual(said("OCO", "SELL", { price: "120", stopPrice: "90", quantity: "1" }), {});
});

test("tick, lot, and what is no number", () => {
  assert.match(said("LIMIT", "BUY", { price: "99.999", quantity: "1" }).price, /not a multiple of 0.01/);
  assert.match(said("LIMIT", "BUY", { price: "99", quantity: "0.00015" }).quantity, /not a multiple of 0.0001/);
  assert.match(said("LIMIT", "BUY", { price: "99,5", quantity: "1" }).price, /with a point/, "a comma is no point");
  assert.match(said("LIMIT", "BUY", { price: "", quantity: "1" }).price, /required/);
  assert.match(said("LIMIT", "BUY", { price: "0", quantity: "1" }).price, /positive/);
});

test("the market's limits and its band", () => {
  assert.match(said("LIMIT", "BUY", { price: "100", quantity: "0.01" }).quantity, /worth 10 USD at least/);
  assert.match(said("MARKET", "SELL", { quantity: "0.01" }).quantity, /worth 10 USD at least/, "at the last price");
  assert.match(said("LIMIT", "SELL", { price: "100", quantity: "101" }).quantity, /above 100/);
  assert.match(said("LIMIT", "BUY", { price: "110.01", quantity: "1" }).price, /band ends at 110/);
  assert.deepEqual(said("LIMIT", "BUY", { price: "50", quantity: "1" }), {}, "a BUY far below takes from nobody");
});

test("funds, with the fee where it is paid in quote", () => {
  assert.match(
    said("LIMIT", "BUY", { price: "100", quantity: "10.001" }).quantity,
    /1,000.1 USD needed, 1,000 available/,
  );
  assert.match(said("LIMIT", "SELL", { price: "100", quantity: "6" }).quantity, /6 BTC needed, 5 available/);
  const inQuote = { feeCurrency: "QUOTE" };
  assert.equal(text(needed(draft("LIMIT", "BUY", { price: "100", quantity: "1" }, inQuote))), "100.1");
  assert.match(said("LIMIT", "BUY", { price: "100", quantity: "10" }, inQuote).quantity, /1,001 USD needed/);
  const part = share(draft("LIMIT", "BUY", { price: "100" }, inQuote), 100n);
  assert.ok(part > units("9.98") && part < units("10"), "so all of the funds buys less");
});

test("an iceberg, a time, and two legs", () => {
  const order = { price: "99", quantity: "10" };
  assert.match(said("LIMIT", "SELL", { ...order, quantity: "5", displayQuantity: "5" }).displayQuantity, /less than/);
  assert.match(
    said("LIMIT", "SELL", { ...order, quantity: "5", displayQuantity: "0.0045" }).displayQuantity,
    /at least 0.005/,
  );
  assert.match(
    said("LIMIT", "SELL", { ...order, quantity: "5", timeInForce: "GTD", expiresAt: "" }).expiresAt,
    /required/,
  );
  assert.match(
    said("OCO", "SELL", { price: "90", stopPrice: "120", quantity: "1" }).stopPrice,
    /above and the stop below/,
  );
  assert.match(said("OCO", "BUY", { price: "90", stopPrice: "120", quantity: "1" }).stopLimitPrice, /required/);
});

test("a BUY at the market may say what it spends", () => {
  assert.deepEqual(fieldsOf(draft("MARKET", "BUY", { by: "quote" })), ["quoteQuantity"]);
  assert.deepEqual(fieldsOf(draft("MARKET", "SELL", { by: "quote" })), ["quantity"]);
  assert.match(said("MARKET", "BUY", { by: "quote", quoteQuantity: "1001" }).quoteQuantity, /1,001 USD needed/);
});
