// What is the user's own, in tabs: open orders, history, fills, balances, positions, statement.

import { get, Refusal, send } from "./api.js";
import { openAmend } from "./amend.js";
import { byId, choices, make, mark, write } from "./dom.js";
import { tell } from "./notices.js";
import * as columns from "./own_columns.js";
import { PastList } from "./past_list.js";
import { demoButtons, openSignIn } from "./sign_in.js";
import { Table } from "./tables.js";

const TABS = {
  open: "Open orders",
  history: "History",
  fills: "Fills",
  balances: "Balances",
  positions: "Positions",
  statement: "Statement",
};
const AGAIN_MS = 1500;
const NO_MONEY = "No money yet. The staff of this exchange credit an account; in a demo, alice, bob and carol have some.";

export class OwnPanel {
  #tab = "open";
  #seen = -1;
  #timer = 0;

  /** @param {import("./own_state.js").OwnState} own @param {{ user: any }} session */
  constructor(own, session) {
    this.own = own;
    this.session = session;
    this.open = new Table(
      "Open orders",
      columns.openOrders((order) => this.#buttons(order)),
      (order) => order.orderId,
      "No open orders.",
    );
    this.balances = new Table("Balances", columns.balances, (row) => row.currency, NO_MONEY);
    this.positions = new Table("Positions", columns.positions, (row) => row.asset, "No positions.");
    this.history = new PastList(
      "Order history",
      columns.pastOrders,
      (order) => order.orderId,
      () => ({ path: "/orders" }),
    );
    this.fills = new PastList(
      "Fills",
      columns.fills,
      (fill) => `${fill.tradeId} ${fill.orderId} ${fill.role}`,
      () => ({ path: "/fills" }),
    );
    this.asset = make("select", {
      class: "input",
      "aria-label": "Asset of the statement",
      change: () => this.#readPast(),
    });
    this.statement = new PastList(
      "Statement",
      columns.statement,
      (row) => row.entryId,
      () => this.#ledger(),
    );
    this.#render();
    own.on(() => this.draw());
    this.draw();
  }

  #render() {
    const tab = (/** @type {string} */ name, /** @type {string} */ text) =>
      make("button", {
        type: "button",
        role: "tab",
        id: `tab-${name}`,
        "aria-controls": "own-body",
        "aria-selected": String(name === "open"),
        tabindex: name === "open" ? "0" : "-1",
        "data-tab": name,
        text,
      });
    this.tabs = make(
      "div",
      { class: "choices lined", role: "tablist", "aria-label": "Your own" },
      ...Object.entries(TABS).map(([name, words]) => tab(name, words)),
    );
    this.cancelAll = make("button", {
      type: "button",
      class: "button tiny",
      text: "Cancel all",
      click: () => this.#confirm(),
    });
    this.end = make("div", { class: "end" });
    byId("own-bar").append(this.tabs, this.end);
    mark(byId("own-body"), "role", "tabpanel");
    byId("own-body").tabIndex = 0;
    choices(this.tabs, "aria-selected", (button) => {
      this.#tab = button.dataset.tab;
      this.#seen = -1;
      this.draw();
    });
  }

  draw() {
    const body = byId("own-body");
    mark(body, "aria-labelledby", `tab-${this.#tab}`);
    const count = this.own.orders.size;
    write(this.tabs.children[0], count ? `${TABS.open} (${count})` : TABS.open);
    if (!this.session.user) return this.#place(body, (this.guest ??= invitation()), null);
    const [part, extra] = this.#part();
    this.#place(body, part, extra);
    if (this.#tab === "open")
      this.open.show([...this.own.orders.values()].sort((one, other) => other.orderId - one.orderId));
    else if (this.#tab === "balances") this.balances.show([...this.own.balances.values()]);
    else this.#readSoon();
    this.cancelAll.disabled = !count;
  }

  /** The tab's own element, and what stands at the end of its bar. @returns {any[]} */
  #part() {
    switch (this.#tab) {
      case "open":
        return [this.open.place, this.cancelAll];
      case "balances":
        return [this.balances.place, null];
      case "positions":
        return [this.positions.place, null];
      case "history":
        return [this.history.place, this.history.csv];
      case "fills":
        return [this.fills.place, this.fills.csv];
      default:
        this.#offerAssets();
        return [
          this.statement.place,
          (this.ofStatement ??= make("div", { class: "end" }, this.asset, this.statement.csv)),
        ];
    }
  }

  #place(/** @type {any} */ body, /** @type {any} */ part, /** @type {any} */ extra) {
    if (body.firstChild !== part) body.replaceChildren(part);
    if (extra ? this.end.firstChild !== extra : this.end.firstChild)
      this.end.replaceChildren(...(extra ? [extra] : []));
  }

  #offerAssets() {
    const assets = [...this.own.balances.keys()];
    if (assets.length === this.asset.children.length) return;
    this.asset.replaceChildren(...assets.map((value) => make("option", { value, text: value })));
  }

  #ledger() {
    const asset = this.asset.value;
    return asset && this.session.user
      ? { path: `/balances/${this.session.user.userId}/${asset}/ledger`, name: asset }
      : null;
  }

  /** What is past is read again after something changed, though not for each of many fills. */
  #readSoon() {
    if (this.#seen === this.own.changes) return;
    const isFirst = this.#seen < 0;
    this.#seen = this.own.changes;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#readPast(), isFirst ? 0 : AGAIN_MS);
  }

  async #readPast() {
    try {
      if (this.#tab === "history") await this.history.read();
      else if (this.#tab === "fills") await this.fills.read();
      else if (this.#tab === "statement") await this.statement.read();
      else if (this.#tab === "positions") this.positions.show(await get("/positions"));
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      tell(TABS[/** @type {"open"} */ (this.#tab)], refusal.words, "bad");
    }
  }

  #buttons(/** @type {any} */ { orderId, symbol, side }) {
    const words = `order ${orderId}, ${side} ${symbol}`;
    const amend = () => openAmend(this.own.orders.get(orderId));
    return make(
      "span",
      {},
      make("button", {
        type: "button",
        class: "button tiny",
        text: "Amend",
        "aria-label": `Amend ${words}`,
        click: amend,
      }),
      make("button", {
        type: "button",
        class: "button tiny",
        text: "Cancel",
        "aria-label": `Cancel ${words}`,
        click: (/** @type {any} */ event) => this.#cancel(event, orderId),
      }),
    );
  }

  async #cancel(/** @type {any} */ event, /** @type {number} */ orderId) {
    const button = event.currentTarget;
    button.disabled = true;
    await attempt(() => send("DELETE", `/orders/${orderId}`));
    button.disabled = false;
  }

  #confirm() {
    this.dialog ??= this.#makeDialog();
    this.dialog.showModal();
  }

  #makeDialog() {
    const cancel = async () => {
      made.close();
      const done = await attempt(() => send("DELETE", "/orders"));
      if (done) tell("Cancel all", `${done.cancelled} cancels accepted`);
    };
    const made = make(
      "dialog",
      { "aria-label": "Cancel all orders" },
      make(
        "div",
        { class: "inside" },
        make("h2", { text: "Cancel all open orders?" }),
        make("p", { text: "In all markets, those too that wait for a price." }),
        make(
          "div",
          { class: "actions" },
          make("button", { type: "button", class: "button", text: "Keep them", click: () => made.close() }),
          make("button", { type: "button", class: "button main", text: "Cancel all orders", click: cancel }),
        ),
      ),
    );
    document.body.append(made);
    return made;
  }
}

function invitation() {
  return make(
    "div",
    { class: "invite" },
    make("p", { class: "quiet", text: "Sign in to see your orders, fills and balances." }),
    demoButtons(),
    make(
      "div",
      {},
      make("button", { type: "button", class: "button main", text: "Sign in or register", click: () => openSignIn() }),
    ),
  );
}

/** The answer, or null after the refusal was told. @param {() => Promise<any>} run */
async function attempt(run) {
  try {
    return await run();
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    tell("Refused", refusal.words, "bad");
    return null;
  }
}
