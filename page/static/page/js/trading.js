// The trading page. First what moves: book, trades and figures. The rest (desk.js) comes when these are there.

import { get } from "./api.js";
import { placesOf } from "./decimal.js";
import { byId, choices, make, mark, write } from "./dom.js";
import { Ladder } from "./ladder.js";
import { MarketFeed } from "./market_feed.js";
import { MarketsList, showFigures, showLastPrice } from "./markets_list.js";
import { speak } from "./notices.js";
import { learn } from "./places.js";
import { session } from "./session.js";
import { Socket } from "./socket.js";
import { Tape } from "./tape.js";
import { startTheme } from "./theme.js";

const socket = new Socket(() => session.token());
const ladder = new Ladder(byId("ladder"), (price) => {
  desk?.form.takePrice(price);
  go("order");
});
const tape = new Tape(byId("trades"));
/** @type {any[]} */ let markets = [];
/** @type {MarketFeed | null} */ let feed = null;
/** @type {[any, MarketFeed, { price: number, quantity: number }] | null} */ let opened = null;
/** @type {import("./desk.js").Desk | null} */ let desk = null;

async function start() {
  startTheme();
  showState();
  socket.addEventListener("state", showState);
  const listed = readMarkets();
  await session.resume().catch(() => {});
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
  const { Desk } = await import("./desk.js");
  desk = new Desk(socket, ladder);
  if (opened) desk.open(...opened);
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
  followed.interval = interval;
  write(byId("symbol"), market.symbol);
  ladder.begin(market, places);
  tape.begin(market, places);
  followed.on("depth", () => followed.depth && ladder.show(followed.depth));
  followed.on("trades", () => {
    tape.show(followed.trades);
    if (followed.trades[0]) showLastPrice(followed.trades[0].price, market);
    ladder.showLast(followed.trades[0] && { price: followed.trades[0].price, side: followed.trades[0].takerSide });
  });
  followed.on("ticker", () => showFigures(followed.ticker, market, followed.trades[0]?.price));
  opened = [market, followed, places];
  desk?.open(...opened);
  followed.begin();
}

function showState() {
  const words = { live: "Live", connecting: "Connecting", waiting: "Reconnecting" }[socket.state];
  const place = byId("state");
  if (place.dataset.state === socket.state && place.textContent === words) return;
  if (place.dataset.state === "live") speak("The connection was lost. It comes back by itself.");
  mark(place, "data-state", socket.state);
  place.replaceChildren(make("span", { text: words }));
}

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
start();
