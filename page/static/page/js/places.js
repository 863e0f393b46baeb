// How many places the prices and quantities of a market have, so that columns of them are aligned.

import { placesOf, shown } from "./decimal.js";

/** @type {Map<string, { price: number, quantity: number }>} */
const places = new Map();

/** @param {any[]} markets */
export function learn(markets) {
  for (const { symbol, tickSize, lotSize } of markets) {
    places.set(symbol, { price: placesOf(tickSize), quantity: placesOf(lotSize) });
  }
}

/** @param {string} symbol @param {string | bigint | null} amount */
export const price = (symbol, amount) => shown(amount, places.get(symbol)?.price);

/** @param {string} symbol @param {string | bigint | null} amount */
export const quantity = (symbol, amount) => shown(amount, places.get(symbol)?.quantity);
