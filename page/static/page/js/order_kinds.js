// The kinds of orders as rows: which fields each has, in which order, and which of its options.

const OF_LIMIT = ["timeInForce", "expiresAt", "postOnly", "selfTradePrevention"];

/**
 * @typedef {object} Kind
 * @property {string[]} fields What it must have.
 * @property {string[]} options What it may have.
 * @property {boolean} [byQuote] A BUY may say what it spends in place of its quantity.
 * @property {string} help In a sentence.
 */

/** @type {Record<string, Kind>} */
export const KINDS = {
  LIMIT: {
    fields: ["price", "quantity"],
    options: ["timeInForce", "expiresAt", "postOnly", "displayQuantity", "selfTradePrevention"],
    help: "Not worse than this price. What does not trade at once waits in the book.",
  },
  MARKET: {
    fields: ["quantity"],
    options: ["selfTradePrevention"],
    byQuote: true,
    help: "Now, at the best prices there are.",
  },
  STOP: {
    fields: ["stopPrice", "quantity"],
    options: ["selfTradePrevention"],
    byQuote: true,
    help: "Waits for a worse last price, then trades at the market.",
  },
  STOP_LIMIT: {
    fields: ["stopPrice", "price", "quantity"],
    options: OF_LIMIT,
    help: "Waits for a worse last price, then becomes a limit order.",
  },
  TAKE_PROFIT: {
    fields: ["stopPrice", "quantity"],
    options: ["selfTradePrevention"],
    byQuote: true,
    help: "Waits for a better last price, then trades at the market.",
  },
  TAKE_PROFIT_LIMIT: {
    fields: ["stopPrice", "price", "quantity"],
    options: OF_LIMIT,
    help: "Waits for a better last price, then becomes a limit order.",
  },
  TRAILING_STOP: {
    fields: ["trailingOffset", "quantity"],
    options: ["selfTradePrevention"],
    byQuote: true,
    help: "A stop that follows the best last price at this distance.",
  },
  OCO: {
    fields: ["price", "stopPrice", "stopLimitPrice", "quantity"],
    options: [],
    help: "A target and a stop for the same funds: one cancels the other.",
  },
};

/** Those that wait for a price: in a list of their own. */
export const CONDITIONAL = ["STOP", "STOP_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT", "TRAILING_STOP", "OCO"];

export const LABELS = /** @type {Record<string, string>} */ ({
  price: "Price",
  stopPrice: "Stop price",
  stopLimitPrice: "Limit after the stop",
  trailingOffset: "Distance",
  quantity: "Quantity",
  quoteQuantity: "Spend",
  displayQuantity: "Show only",
  timeInForce: "Time in force",
  expiresAt: "Until",
  postOnly: "Post only: never take",
  selfTradePrevention: "Meeting an own order",
});

export const TIMES = {
  GTC: "Until cancelled",
  IOC: "At once, or cancel the rest",
  FOK: "All at once, or nothing",
  GTD: "Until a time",
};

export const PREVENTIONS = {
  "": "As the market has it",
  EXPIRE_TAKER: "Close the new order",
  EXPIRE_MAKER: "Close the resting order",
  EXPIRE_BOTH: "Close both",
  DECREMENT: "Take the smaller off both",
  NONE: "Let them trade",
};
