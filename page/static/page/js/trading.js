// The trading page: who follows what, and which part draws it.

import { get } from "./api.js";
import { CandleChart } from "./candle_chart.js";
import { placesOf } from "./decimal.js";
import { DepthChart } from "./depth_chart.js";
import { byId, choices, make, mark, write } from "./dom.js";
import { Ladder } from "./ladder.js";
import { MarketFeed, SECONDS } from "./market_feed.js";
import { MarketsList, showFigures } from "./markets_list.js";
import { speak, tell } from "./notices.js";
import { OrderForm } from "./order_form.js";
import { OwnPanel } from "./own_panel.js";
import { OwnState } from "./own_state.js";
import { learn } from "./places.js";
import { session } from "./session.js";
import { openSignIn, showWho } from "./sign_in.js";
import { Socket } from "./socket.js";
import { Tape } from "./tape.js";
import { startTheme } from "./theme.js";

startTheme();
const socket = new Socket(() => session.token());
const own = new OwnState(socket);
const form = new OrderForm(byId("order-place"), own, session, openSignIn);
const panel = new OwnPanel(own, session);
const ladder = new Ladder(byId("ladder"), (price) => {
  form.takePrice(price);
  go("order");
});
const tape = new Tape(byId("trades"));
const candles = new CandleChart(byId("candles"));
const depth = new DepthChart(byId("depth"));
/** @type {any[]} */ let markets = [];
/** @type {MarketFeed | null} */ let feed = null;

async function start() {
  showState();
  socket.addEventListener("state", showState);
  const listed = readMarkets();
  await session.resume().catch(() => {});
  showWho();
  if (session.user) own.begin().catch(() => {});
  session.addEventListener("change", changeUser);
  session.addEventListener("token", () => socket.refresh());
  socket.connect();
  markets = await listed;
  learn(markets);
  new MarketsList(markets, (symbol) => {
    history.pushState(null, "", `/m/${encodeURIComponent(symbol)}`);
    open(symbol);
  });
  // Also a link to a part of the page fires it.
  addEventListener("popstate", () => symbolOfPath() !== feed?.symbol && open(symbolOfPath()));
  open(symbolOfPath());
}

/** As early.js has begun to read them. */
async function readMarkets() {
  const early = await /** @type {any} */ (window).early?.markets;
  return early?.data ?? get("/markets");
}

function symbolOfPath() {
  const symbol = decodeURIComponent(location.pathname.split("/m/")[1] ?? "");
  return symbol || markets[0]?.symbol || "";
}

/** @param {string} symbol */
async function open(symbol) {
  const market =
    markets.find((each) => each.symbol === symbol) ??
    (await get(`/markets/${encodeURIComponent(symbol)}`).catch(() => null));
  if (!market) return write(byId("legend"), symbol ? `There is no market ${symbol}.` : "There is no market yet.");
  feed?.end();
  const interval = feed?.interval ?? "1m";
  const followed = (feed = new MarketFeed(socket, market.symbol));
  const places = { price: placesOf(market.tickSize), quantity: placesOf(market.lotSize) };
  write(byId("symbol"), market.symbol);
  ladder.begin(market, places);
  tape.begin(market, places);
  depth.begin(places);
  followed.interval = interval;
  candles.begin(followed, places);
  followed.on(
    "depth",
    () => (ladder.show(/** @type {any} */ (followed.depth)), depth.show(/** @type {any} */ (followed.depth))),
  );
  followed.on("trades", () => {
    tape.show(followed.trades);
    ladder.showLast(followed.trades[0] && { price: followed.trades[0].price, side: followed.trades[0].takerSide });
  });
  followed.on("ticker", () => showFigures(followed.ticker, market));
  followed.on("candles", () => candles.showLast());
  followed.on("reread", () => (candles.showAll(), candles.describe()));
  form.begin(market, followed);
  ladder.markOwn(own.resting(market.symbol));
  followed.begin();
}

/** @param {any} event */
function changeUser({ detail }) {
  if (detail) tell("Signed out", detail, "bad");
  showWho();
  own.end();
  socket.restart();
  if (session.user) own.begin().catch(() => {});
  panel.draw();
}

function showState() {
  const words = { live: "Live", connecting: "Connecting", waiting: "Reconnecting" }[socket.state];
  const place = byId("state");
  if (place.dataset.state === socket.state && place.textContent === words) return;
  if (place.dataset.state === "live") speak("The connection was lost. It comes back by itself.");
  mark(place, "data-state", socket.state);
  place.replaceChildren(make("span", { text: words }));
}

for (const interval of Object.keys(SECONDS)) {
  byId("intervals").append(
    make("button", { type: "button", "aria-pressed": String(interval === "1m"), text: interval }),
  );
}
choices(byId("intervals"), "aria-pressed", (button) => feed?.choose(button.textContent));
const DEEP = 200;
const DEEP_MS = 2500;
let deepTimer = 0;

/** The stream tells the best levels; for the depth chart, while it is seen, more of them are read. */
async function readDeep() {
  clearTimeout(deepTimer);
  if (byId("depth").hidden || !feed) return;
  const { symbol } = feed;
  const deep = document.hidden ? null : await get(`/orderbook/${symbol}`, { limit: DEEP }).catch(() => null);
  if (deep && feed?.symbol === symbol) depth.showDeep(deep);
  deepTimer = setTimeout(readDeep, DEEP_MS);
}

choices(byId("plots"), "aria-pressed", (button) => {
  const isDepth = button.dataset.plot === "depth";
  byId("depth").hidden = !isDepth;
  byId("candles").hidden = byId("legend").hidden = byId("intervals").hidden = isDepth;
  depth.draw();
  readDeep();
});
const pickPlace = choices(byId("places"), "aria-pressed", (button) =>
  mark(byId("desk"), "data-place", button.dataset.place),
);

/** On a phone one part is seen at a time. @param {string} place */
function go(place) {
  pickPlace(document.querySelector(`#places [data-place="${place}"]`));
}

for (const link of document.querySelectorAll(".skip")) {
  link.addEventListener("click", () => go(/** @type {any} */ (link).hash.slice(1)));
}
own.on(() => feed && ladder.markOwn(own.resting(feed.symbol)));
start();
