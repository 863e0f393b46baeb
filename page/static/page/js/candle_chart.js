// Candles with volume, drawn by TradingView's Lightweight Charts. A chart counts in floats: it shows, and decides nothing.

import { CandlestickSeries, createChart, HistogramSeries, LineStyle } from "../vendor/lightweight-charts.js";
import { shown } from "./decimal.js";
import { byId, write } from "./dom.js";
import { colour, onTheme } from "./theme.js";

const OLDER_FROM = 20;
const DRAWN_MS = 100;

export class CandleChart {
  /** @type {import("./market_feed.js").MarketFeed | null} */ #feed = null;
  #places = 2;
  #last = 0;
  #timer = 0;
  #hovered = /** @type {any} */ (null);

  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
    this.chart = createChart(place, {
      autoSize: true,
      layout: { attributionLogo: false, fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 11 },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.12, bottom: 0.24 } },
      timeScale: { borderVisible: false, timeVisible: true, secondsVisible: false, rightOffset: 6, barSpacing: 7 },
      localization: {
        locale: "en-GB",
        timeFormatter: asTime,
        priceFormatter: (/** @type {number} */ price) => shown(price.toFixed(this.#places), this.#places),
      },
      crosshair: { mode: 0 },
      handleScale: { axisPressedMouseMove: { price: true, time: true } },
    });
    this.candles = this.chart.addSeries(CandlestickSeries, { borderVisible: false });
    this.volume = this.chart.addSeries(HistogramSeries, {
      priceScaleId: "volume",
      priceFormat: { type: "volume" },
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.chart.subscribeCrosshairMove((/** @type {any} */ move) => {
      this.#hovered = move.time ? move : null;
      this.#writeLegend();
    });
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((/** @type {any} */ range) => {
      if (range && range.from < OLDER_FROM) this.#feed?.readOlder().catch(() => {});
    });
    onTheme(() => this.#paint());
    this.#paint();
  }

  /** @param {import("./market_feed.js").MarketFeed} feed @param {{ price: number }} places */
  begin(feed, places) {
    this.#feed = feed;
    this.#places = places.price;
    this.candles.applyOptions({
      priceFormat: { type: "price", precision: places.price, minMove: 10 ** -places.price },
    });
    this.showAll();
    this.chart.timeScale().resetTimeScale();
    this.candles.priceScale().applyOptions({ autoScale: true });
  }

  /** All candles anew. */
  showAll() {
    const candles = this.#feed?.candles ?? [];
    this.#last = candles.at(-1)?.time ?? 0;
    this.candles.setData(candles);
    this.volume.setData(candles.map((candle) => this.#column(candle)));
    this.#writeLegend();
  }

  /** The last candles: what a trade changed. A whole canvas is drawn for it, so not at each frame. */
  showLast() {
    this.#timer ||= setTimeout(() => this.#showLast(), DRAWN_MS);
  }

  #showLast() {
    this.#timer = 0;
    for (const candle of this.#feed?.candles.slice(-2) ?? []) {
      // The chart takes what is at its end alone.
      if (candle.time < this.#last) continue;
      this.#last = candle.time;
      this.candles.update(candle, false);
      this.volume.update(this.#column(candle), false);
    }
    this.#writeLegend();
  }

  #column(/** @type {import("./market_feed.js").Candle} */ candle) {
    return {
      time: candle.time,
      value: candle.volume,
      color: candle.close >= candle.open ? this.tones.buy : this.tones.sell,
    };
  }

  #writeLegend() {
    const candles = this.#feed?.candles ?? [];
    const at = this.#hovered && candles.find((candle) => candle.time === this.#hovered.time);
    const candle = at || candles.at(-1);
    if (!candle) return write(byId("legend"), "No trade yet");
    const price = (/** @type {number} */ value) => shown(value.toFixed(this.#places), this.#places);
    write(
      byId("legend"),
      [
        `O ${price(candle.open)}   H ${price(candle.high)}   L ${price(candle.low)}   C ${price(candle.close)}`,
        `V ${shown(candle.volume.toFixed(4))}`,
      ].join("   "),
    );
  }

  /** In words, for whoever cannot see it. Not told by itself. */
  describe() {
    const last = this.#feed?.candles.at(-1);
    const words = last ? `, last close ${last.close.toFixed(this.#places)}` : ", no trade yet";
    this.place.setAttribute("aria-label", `Candle chart with volume, ${this.#feed?.interval} candles${words}`);
  }

  #paint() {
    const [text, line, panel, buy, sell, edge] = ["--quiet", "--line", "--panel", "--buy", "--sell", "--edge"].map(
      colour,
    );
    this.tones = { buy: colour("--buy-soft"), sell: colour("--sell-soft") };
    this.chart.applyOptions({
      layout: { background: { color: panel }, textColor: text },
      grid: {
        vertLines: { color: line, style: LineStyle.Dotted },
        horzLines: { color: line, style: LineStyle.Dotted },
      },
      crosshair: {
        vertLine: { color: edge, labelBackgroundColor: edge },
        horzLine: { color: edge, labelBackgroundColor: edge },
      },
    });
    this.candles.applyOptions({ upColor: buy, wickUpColor: buy, downColor: sell, wickDownColor: sell });
    this.showAll();
  }
}

/** @param {number} time */
function asTime(time) {
  return `${new Date(time * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
