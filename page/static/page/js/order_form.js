// The form of an order: checks as one types, a preview by the exchange, and the order itself.

import { Refusal, send } from "./api.js";
import { downTo, shown, text, units } from "./decimal.js";
import { choices, mark, soon, write } from "./dom.js";
import { tell } from "./notices.js";
import { OrderFields } from "./order_fields.js";
import { CONDITIONAL, KINDS } from "./order_kinds.js";
import { layOut, MORE } from "./order_layout.js";
import { broken, fieldsOf, needed, share, worth } from "./order_rules.js";
import { kindWords } from "./order_words.js";
import { Preview } from "./preview.js";

export class OrderForm {
  side = /** @type {"BUY" | "SELL"} */ ("BUY");
  type = "LIMIT";
  by = "base";
  /** @type {any} */ market = null;
  /** @type {import("./market_feed.js").MarketFeed | null} */ feed = null;
  #isSending = false;
  #hasTried = false;

  /**
   * @param {HTMLElement} place
   * @param {import("./own_state.js").OwnState} own
   * @param {{ user: any }} session
   * @param {() => void} invite Asks who is not signed in to do so.
   */
  constructor(place, own, session, invite) {
    this.own = own;
    this.session = session;
    this.invite = invite;
    this.fields = new OrderFields(
      () => this.#changed(),
      () => this.#switchUnit(),
    );
    this.preview = new Preview();
    this.#render(place);
    own.on(() => this.#changed());
    this.#pick("LIMIT");
  }

  /** @param {any} market @param {import("./market_feed.js").MarketFeed} feed */
  begin(market, feed) {
    const isFirst = !this.market;
    Object.assign(this, { market, feed });
    feed.on("ticker", () => this.#offer());
    if (isFirst) return this.#pick(this.type);
    for (const field of Object.keys(this.fields.inputs)) {
      const input = this.fields.inputs[field];
      if (input.inputMode === "decimal") input.value = "";
    }
    this.fields.touched.clear();
    this.#hasTried = false;
    this.#pick(this.type);
  }

  /** From the ladder. @param {string} price */
  takePrice(price) {
    const field = KINDS[this.type].fields.find((name) => ["price", "stopPrice"].includes(name));
    if (field) this.fields.set(field, price);
    this.#changed();
  }

  #render(/** @type {HTMLElement} */ place) {
    const parts = layOut(this.fields.boxes, this.preview.place, {
      takePart: (part) => this.#takePart(part),
      pick: (type) => this.#pick(type),
      submit: (event) => this.#submit(event),
    });
    Object.assign(this, parts);
    const { form, sides, kinds, conditional } = parts;
    place.append(form);
    choices(sides, "aria-checked", (button) => this.#turn(button.dataset.side));
    choices(kinds, "aria-checked", ({ dataset }) =>
      this.#pick(dataset.type === MORE ? conditional.value : dataset.type),
    );
    this.#turn("BUY");
  }

  #turn(/** @type {"BUY" | "SELL"} */ side) {
    this.side = side;
    for (const button of this.sides.children) {
      mark(button, "aria-checked", String(button.dataset.side === side));
      button.tabIndex = button.dataset.side === side ? 0 : -1;
    }
    if (this.market) this.#arrange();
  }

  #pick(/** @type {string} */ type) {
    this.type = type;
    const chosen = CONDITIONAL.includes(type) ? MORE : type;
    for (const button of this.kinds.children) {
      mark(button, "aria-checked", String(button.dataset.type === chosen));
      button.tabIndex = button.dataset.type === chosen ? 0 : -1;
    }
    this.conditional.hidden = chosen !== MORE;
    this.#hasTried = false;
    if (this.market) this.#arrange();
  }

  #switchUnit() {
    this.by = this.by === "base" ? "quote" : "base";
    this.#arrange();
    this.fields.inputs[fieldsOf(this.draft()).at(-1) ?? "quantity"].focus();
  }

  /** Shows the fields of the kind and the side. */
  #arrange() {
    const kind = KINDS[this.type];
    const draft = this.draft();
    const isGtd = draft.values.timeInForce === "GTD";
    const shownOnes = [...fieldsOf(draft), ...kind.options.filter((field) => field !== "expiresAt" || isGtd)];
    if (this.type === "OCO" && !shownOnes.includes("stopLimitPrice")) shownOnes.push("stopLimitPrice");
    this.fields.show(shownOnes);
    this.more.hidden = kind.options.length === 0;
    write(this.help, kind.help);
    const { base, quote } = this.market;
    for (const field of ["price", "stopPrice", "stopLimitPrice", "trailingOffset"]) this.fields.unit(field, quote);
    const isSwitched = kind.byQuote && this.side === "BUY";
    this.fields.unit("quantity", base, isSwitched ? `in ${base}; say it in ${quote}` : undefined);
    this.fields.unit("quoteQuantity", quote, isSwitched ? `in ${quote}; say it in ${base}` : undefined);
    this.fields.unit("displayQuantity", base);
    this.#offer();
    this.#changed();
  }

  /** Begins with the last price, until the user has one. */
  #offer() {
    const last = this.feed?.ticker?.lastPrice;
    if (!last || this.fields.touched.has("price") || this.fields.inputs.price.value) return;
    this.fields.inputs.price.value = last;
    this.#changed();
  }

  /** @returns {import("./order_rules.js").Draft} */
  draft() {
    const { market, feed, own, session } = this;
    const [bid, ask] = [units(feed?.depth?.bestBid), units(feed?.depth?.bestAsk)];
    const last = units(feed?.trades[0]?.price ?? feed?.ticker?.lastPrice);
    return {
      type: this.type,
      side: this.side,
      values: { ...this.fields.values, by: this.by },
      market,
      reference: last ?? (bid !== null && ask !== null ? (bid + ask) / 2n : null),
      funds:
        session.user && own.isKnown ? { base: own.available(market.base), quote: own.available(market.quote) } : null,
      fees: own.fees.get(market.symbol) ?? null,
    };
  }

  #changed() {
    if (this.market) soon(this.#draw);
  }

  #draw = () => {
    const draft = this.draft();
    const wrong = broken(draft);
    const { market, side } = this;
    const unit = side === "BUY" ? market.quote : market.base;
    const isGtd = draft.values.timeInForce === "GTD" && KINDS[this.type].options.includes("expiresAt");
    this.fields.boxes.expiresAt.hidden = !isGtd;
    this.fields.complain(wrong, this.#hasTried);
    const has = draft.funds && (side === "BUY" ? draft.funds.quote : draft.funds.base);
    write(this.available, has === null ? "–" : `${shown(has)} ${unit}`);
    const [value, need] = [worth(draft), needed(draft)];
    const more = side === "BUY" && need !== null && need !== value ? `, with fee ${shown(need)}` : "";
    write(this.value, value === null ? "–" : `${shown(value)} ${market.quote}${more}`);
    for (const button of this.parts.children) button.disabled = !draft.funds;
    write(this.go, this.session.user ? `${side === "BUY" ? "Buy" : "Sell"} ${market.base}` : "Sign in to trade");
    this.go.className = `button go of-${side.toLowerCase()}`;
    this.go.disabled = this.#isSending;
    const isWhole = this.session.user && Object.keys(wrong).length === 0;
    this.preview.look(isWhole && this.type !== "OCO" ? this.body() : null, market);
  };

  /** As the API takes it. */
  body() {
    const draft = this.draft();
    const { values } = draft;
    const body = /** @type {Record<string, any>} */ ({ symbol: this.market.symbol, side: this.side });
    if (this.type !== "OCO") body.type = this.type;
    for (const field of fieldsOf(draft)) body[field] = values[field];
    for (const field of KINDS[this.type].options) {
      if (!values[field]) continue;
      if (field === "postOnly") body.postOnly = true;
      else if (field === "expiresAt")
        body.expiresAt = values.timeInForce === "GTD" ? new Date(values.expiresAt).toISOString() : undefined;
      else if (!(field === "timeInForce" && values[field] === "GTC")) body[field] = values[field];
    }
    return body;
  }

  #takePart(/** @type {number} */ part) {
    const draft = this.draft();
    const amount = share(draft, BigInt(part));
    if (amount === null) return;
    const field = fieldsOf(draft).at(-1) ?? "quantity";
    const lot = units(this.market.lotSize) ?? 1n;
    this.fields.set(field, text(field === "quantity" ? downTo(amount, lot) : amount));
    this.#changed();
  }

  async #submit(/** @type {Event} */ event) {
    event.preventDefault();
    this.refusal.hidden = true;
    if (!this.session.user) return this.invite();
    this.#hasTried = true;
    const wrong = broken(this.draft());
    this.fields.complain(wrong, true);
    const [first] = Object.keys(wrong);
    if (first) return this.fields.inputs[first].focus();
    if (this.#isSending) return;
    this.#isSending = true;
    this.#changed();
    try {
      const path = this.type === "OCO" ? "/orders/oco" : "/orders";
      await send("POST", path, { ...this.body(), clientOrderId: freshId() });
      this.own.readBalancesSoon();
      tell(
        "Order placed",
        `${this.side === "BUY" ? "Buy" : "Sell"} ${kindWords(this.type).toLowerCase()}, ${this.market.symbol}`,
      );
      this.#clear();
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      this.#show(refusal);
    } finally {
      this.#isSending = false;
      this.#changed();
    }
  }

  #clear() {
    for (const field of ["quantity", "quoteQuantity", "displayQuantity"]) {
      this.fields.inputs[field].value = "";
      this.fields.touched.delete(field);
    }
    this.#hasTried = false;
  }

  /** The exchange's own words. Where nothing is known, the same order may be sent again by its owner, who looks first. */
  #show(/** @type {Refusal} */ refusal) {
    const isUnknown = refusal.status === 0 || refusal.status >= 500;
    const words = isUnknown ? `${refusal.words}. Look at your orders before you send it again.` : refusal.words;
    write(this.refusal, words.charAt(0).toUpperCase() + words.slice(1));
    this.refusal.hidden = false;
  }
}

/** Not crypto.randomUUID, which a page without TLS has not. */
function freshId() {
  return `page-${[...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
