// Words for what the API says in capitals.

const KINDS = /** @type {Record<string, string>} */ ({
  LIMIT: "Limit",
  MARKET: "Market",
  STOP: "Stop",
  STOP_LIMIT: "Stop limit",
  TAKE_PROFIT: "Take profit",
  TAKE_PROFIT_LIMIT: "Take profit limit",
  TRAILING_STOP: "Trailing stop",
  OCO: "One cancels the other",
});

const REASONS = /** @type {Record<string, string>} */ ({
  NO_LIQUIDITY: "nobody to trade with",
  INSUFFICIENT_FUNDS: "not enough funds",
  IOC_REMAINDER: "the rest could not trade at once",
  FOK_NOT_FILLABLE: "not all of it could trade at once",
  WOULD_TAKE: "post only, and it would have traded at once",
  SELF_TRADE: "it met an order of your own",
  USER_CANCELLED: "cancelled by you",
  MARKET_HALTED: "the market is halted",
  MARKET_DELISTED: "the market was delisted",
  PRICE_PROTECTION: "the price band was reached",
  DEAD_MAN_SWITCH: "the dead man's switch fired",
  GTD_EXPIRED: "its time was over",
  OCO: "its other leg traded or ended",
  NOTHING_TO_REPLACE: "the order before it was closed already",
  NOT_IN_AUCTION: "not in an auction",
  SIMULATED: "its name asked the sandbox for that",
  INTERNAL_ERROR: "a defect of the exchange",
  TRIGGERED: "Stop price reached",
  AMENDED: "Order amended",
  AMEND_REFUSED: "The amend was refused",
});

/** @param {string} type */
export const kindWords = (type) => KINDS[type] ?? type;

/** @param {string | null} reason */
export const reasonWords = (reason) => (reason ? (REASONS[reason] ?? reason) : "");

/** @param {string} status */
export const statusWords = (status) => (status.charAt(0) + status.slice(1).toLowerCase()).replaceAll("_", " ");

/** Where an order is, or how it ended. @param {{ status: string, reason: string | null }} order */
export function stateWords({ status, reason }) {
  if (reason === "USER_CANCELLED") return "Cancelled by you";
  return reason ? `${statusWords(status)}: ${reasonWords(reason)}` : statusWords(status);
}

/** @param {{ status: string, reason: string | null }} order */
export function endWords(order) {
  const words = stateWords(order);
  return `Order ${words.charAt(0).toLowerCase()}${words.slice(1)}`;
}
