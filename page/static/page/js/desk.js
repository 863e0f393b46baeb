// What comes after the first picture: the charts, the order form, and what is one's own.

import { Charts } from "./charts.js";
import { byId } from "./dom.js";
import { MarketStatus } from "./market_status.js";
import { tell } from "./notices.js";
import { OrderForm } from "./order_form.js";
import { OwnPanel } from "./own_panel.js";
import { OwnState } from "./own_state.js";
import { session } from "./session.js";
import { openSignIn, showWho } from "./sign_in.js";

export class Desk {
  /** @type {import("./market_feed.js").MarketFeed | null} */ #feed = null;

  /** @param {import("./socket.js").Socket} socket @param {import("./ladder.js").Ladder} ladder */
  constructor(socket, ladder) {
    this.socket = socket;
    this.ladder = ladder;
    this.own = new OwnState(socket);
    this.charts = new Charts();
    this.status = new MarketStatus(ladder);
    this.form = new OrderForm(byId("order-place"), this.own, session, openSignIn);
    this.panel = new OwnPanel(this.own, session);
    this.own.on(() => this.#markOwn());
    session.addEventListener("change", (event) => this.#changeUser(event));
    session.addEventListener("token", () => socket.refresh());
    showWho();
    if (session.user) this.own.begin().catch(() => {});
  }

  /** @param {any} market @param {import("./market_feed.js").MarketFeed} feed @param {{ price: number }} places */
  open(market, feed, places) {
    this.#feed = feed;
    this.charts.begin(feed, places);
    this.form.begin(market, feed);
    this.status.watch(market);
    this.#markOwn();
  }

  #markOwn() {
    if (this.#feed) this.ladder.markOwn(this.own.resting(this.#feed.symbol));
  }

  #changeUser(/** @type {any} */ { detail }) {
    if (detail) tell("Signed out", detail, "bad");
    showWho();
    this.own.end();
    this.socket.restart();
    if (session.user) this.own.begin().catch(() => {});
    this.panel.draw();
  }
}
