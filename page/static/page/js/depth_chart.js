// How much stands on each side up to a price, on a canvas of our own.

import { drawn, shown } from "./decimal.js";
import { soon } from "./dom.js";
import { colour, onTheme } from "./theme.js";

const FOOT = 22;
const HEAD = 34;

export class DepthChart {
  /** @type {import("./market_feed.js").Depth | null} */ #depth = null;
  /** @type {import("./market_feed.js").Depth | null} */ #deep = null;
  #places = 2;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    new ResizeObserver(() => soon(this.draw)).observe(canvas);
    onTheme(() => this.#paint());
    this.#paint();
  }

  /** @param {{ price: number }} places */
  begin(places) {
    this.#places = places.price;
    this.#depth = this.#deep = null;
  }

  /** @param {import("./market_feed.js").Depth} depth The best levels, as they are told. */
  show(depth) {
    this.#depth = depth;
    if (!this.canvas.hidden) this.draw();
  }

  /** The levels behind those, as they were read. @param {import("./market_feed.js").Depth | null} deep */
  showDeep(deep) {
    this.#deep = deep;
    this.draw();
  }

  draw = () => {
    const { canvas } = this;
    const [width, height, scale] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio || 1];
    if (canvas.hidden || !width || !height) return;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const [bids, asks] = [steps(this.#levels("bids")), steps(this.#levels("asks"))];
    const prices = [...bids, ...asks].map((step) => step.price);
    if (!prices.length) return this.#write(pen, "No orders", width / 2, height / 2, "center");
    const [least, most] = range(bids, asks, prices);
    const inside = (/** @type {Step[]} */ side) =>
      side.filter(({ price }) => price >= least && price <= most).at(-1)?.total ?? 0;
    const deepest = Math.max(inside(bids), inside(asks)) || 1;
    const x = (/** @type {number} */ price) => ((price - least) / (most - least || 1)) * width;
    const y = (/** @type {number} */ total) => height - FOOT - (total / deepest) * (height - FOOT - HEAD);
    this.#side(pen, bids, x, y, 0, height - FOOT, this.tones.buy, this.tones.buySoft);
    this.#side(pen, asks, x, y, width, height - FOOT, this.tones.sell, this.tones.sellSoft);
    this.#scale(pen, least, most, width, height, deepest);
  };

  /** What is told, and behind it what was read. */
  #levels(/** @type {"bids" | "asks"} */ name) {
    const near = this.#depth?.[name] ?? [];
    const edge = near.length ? drawn(near[near.length - 1].price) : null;
    const far = this.#deep?.[name] ?? [];
    if (edge === null) return near;
    return [...near, ...far.filter(({ price }) => (name === "asks" ? drawn(price) > edge : drawn(price) < edge))];
  }

  #side(pen, /** @type {Step[]} */ side, x, y, edge, foot, line, fill) {
    if (!side.length) return;
    pen.beginPath();
    pen.moveTo(x(side[0].price), foot);
    let height = foot;
    for (const step of side) {
      pen.lineTo(x(step.price), height);
      height = y(step.total);
      pen.lineTo(x(step.price), height);
    }
    pen.lineTo(edge, height);
    pen.strokeStyle = line;
    pen.lineWidth = 1.5;
    pen.stroke();
    pen.lineTo(edge, foot);
    pen.fillStyle = fill;
    pen.fill();
  }

  #scale(pen, least, most, width, height, deepest) {
    const price = (/** @type {number} */ value) => shown(value.toFixed(this.#places), this.#places);
    const middle = [this.#depth?.bestBid, this.#depth?.bestAsk]
      .filter(Boolean)
      .map((best) => drawn(/** @type {string} */ (best)));
    this.#write(pen, price(least), 8, height - 7, "left");
    this.#write(pen, price(most), width - 8, height - 7, "right");
    if (middle.length === 2) this.#write(pen, price((middle[0] + middle[1]) / 2), width / 2, height - 7, "center");
    this.#write(pen, `${shown(deepest.toFixed(4))} at the edge`, 12, 20, "left");
  }

  #write(
    pen,
    /** @type {string} */ words,
    /** @type {number} */ x,
    /** @type {number} */ y,
    /** @type {string} */ align,
  ) {
    pen.fillStyle = this.tones.text;
    pen.textAlign = align;
    pen.fillText(words, x, y);
  }

  #paint() {
    this.tones = {
      buy: colour("--buy"),
      buySoft: colour("--buy-soft"),
      sell: colour("--sell"),
      sellSoft: colour("--sell-soft"),
      text: colour("--quiet"),
    };
    soon(this.draw);
  }
}

/**
 * As far to each side of the middle, so that one order far away does not press the others together.
 * @param {Step[]} bids @param {Step[]} asks @param {number[]} prices
 */
function range(bids, asks, prices) {
  if (!bids.length || !asks.length) return [Math.min(...prices), Math.max(...prices)];
  const middle = (bids[0].price + asks[0].price) / 2;
  const reach = Math.min(middle - bids[bids.length - 1].price, asks[asks.length - 1].price - middle);
  return [middle - reach, middle + reach];
}

/** @typedef {{ price: number, total: number }} Step */

/** @param {import("./market_feed.js").Level[]} levels @returns {Step[]} Best first. */
function steps(levels) {
  let total = 0;
  return levels.map((level) => ({ price: drawn(level.price), total: (total += drawn(level.quantity)) }));
}
