// Money, prices and quantities: a BigInt counts units of 1e-8, as the exchange does. Nothing here is a float.

export const PLACES = 8;
export const ONE = 100_000_000n;
const WRITTEN = /^(-?)(\d*)(?:\.(\d*))?$/;

/**
 * The units in a text such as "60000.25"; null where it is no number, or finer than 1e-8.
 * @param {string | null | undefined} text
 * @returns {bigint | null}
 */
export function units(text) {
  const parts = WRITTEN.exec(String(text ?? "").trim());
  if (!parts || (!parts[2] && !parts[3])) return null;
  const fraction = (parts[3] ?? "").replace(/0+$/, "");
  if (fraction.length > PLACES) return null;
  const size = BigInt(parts[2] || "0") * ONE + BigInt(fraction.padEnd(PLACES, "0") || "0");
  return parts[1] ? -size : size;
}

/**
 * As the API writes it: plain, without trailing zeros.
 * @param {bigint} amount
 */
export function text(amount) {
  return fixed(amount, PLACES).replace(/\.?0+$/, "");
}

/**
 * With so many places; what is finer is cut off.
 * @param {bigint} amount
 * @param {number} places
 */
export function fixed(amount, places) {
  const digits = (amount < 0n ? -amount : amount).toString().padStart(PLACES + 1, "0");
  const whole = digits.slice(0, -PLACES);
  const fraction = digits.slice(-PLACES).slice(0, places);
  const sign = amount < 0n && /[1-9]/.test(whole + fraction) ? "-" : "";
  return sign + whole + (fraction ? `.${fraction}` : "");
}

/**
 * For people: groups of thousands, and at least so many places.
 * @param {bigint | string | null | undefined} amount
 * @param {number} [places]
 */
export function shown(amount, places) {
  const size = typeof amount === "bigint" ? amount : units(cut(amount));
  if (size === null) return "–";
  const written = places === undefined ? text(size) : fixed(size, places);
  const [whole, fraction] = written.replace("-", "").split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return (written.startsWith("-") ? "−" : "") + grouped + (fraction ? `.${fraction}` : "");
}

/**
 * An average has more digits than a price: what is finer than 1e-8 is cut off.
 * @param {string | null | undefined} written
 */
export function cut(written) {
  return String(written ?? "").replace(/(\.\d{8})\d+$/, "$1");
}

/** @param {bigint} amount @param {bigint} factor */
export function times(amount, factor) {
  return (amount * factor) / ONE;
}

/**
 * Rounded up, as a fee is.
 * @param {bigint} amount
 * @param {bigint} factor
 */
export function timesUp(amount, factor) {
  return (amount * factor + ONE - 1n) / ONE;
}

/** @param {bigint} amount @param {bigint} divisor */
export function over(amount, divisor) {
  return divisor === 0n ? 0n : (amount * ONE) / divisor;
}

/**
 * The next multiple of a step below.
 * @param {bigint} amount
 * @param {bigint} step
 */
export function downTo(amount, step) {
  return step > 0n ? amount - (amount % step) : amount;
}

/**
 * How many places a step such as "0.0100" needs.
 * @param {string} step
 */
export function placesOf(step) {
  const size = units(step);
  return size === null ? PLACES : (text(size).split(".")[1] ?? "").length;
}

/**
 * For drawing alone: a chart counts in floats.
 * @param {string | bigint} amount
 */
export function drawn(amount) {
  return Number(typeof amount === "bigint" ? text(amount) : amount);
}
