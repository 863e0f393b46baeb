"""Stock ccxt.pro, its class `binance`: everything that is watched, before and after the wire was cut."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import ccxt.pro
from ccxt_rest import settings
from checks import Checks, Place, same
from wire import Wire

PLACE = Place()
SYMBOL = PLACE.symbol
BASE, QUOTE = SYMBOL.split("/")
PATIENCE_SECONDS = 20


def watching(address: str) -> dict[str, Any]:
    """The WebSockets' addresses beside those of REST."""
    own = settings()
    sockets = {"spot": f"ws://{address}/ws", "ws-api": {"spot": f"ws://{address}/ws-api/v3"}}
    own["urls"]["api"]["ws"] = sockets
    return own


class Tour:
    def __init__(self, checks: Checks, mine: Any, other: Any, wire: Wire) -> None:
        self.checks, self.mine, self.other, self.wire = checks, mine, other, wire
        self.price = 100

    async def all(self, when: str) -> None:
        await self.public(when)
        await self.private(when)

    async def trade(self) -> dict[str, Any]:
        """Something happens: the other one sells at a new price, and this one buys half of it."""
        self.price += 1
        ask = await self.other.create_limit_sell_order(SYMBOL, 0.02, self.price)
        bought = await self.mine.create_limit_buy_order(SYMBOL, 0.01, self.price)
        await self.other.cancel_order(ask["id"], SYMBOL)
        return bought

    async def seen(self, watch: Callable[[], Any], is_good: Callable[[Any], Any]) -> Any:
        """What comes until it is good, while something happens again and again. A cut is waited out, as bots do."""

        async def look() -> Any:
            while True:
                try:
                    found = await watch()
                except ccxt.NetworkError:
                    await asyncio.sleep(0.2)
                    continue
                if is_good(found):
                    return found

        looking = asyncio.ensure_future(look())
        for _ in range(PATIENCE_SECONDS * 2):
            await asyncio.wait((looking,), timeout=0.5)
            if looking.done():
                return looking.result()
            await self.trade()
        looking.cancel()
        raise AssertionError(f"nothing good within {PATIENCE_SECONDS} s")

    async def public(self, when: str) -> None:
        start = self.price
        with self.checks.call(f"watchOrderBook{when}"):
            bid = await self.mine.create_limit_buy_order(SYMBOL, 0.03, 10)
            book = await self.seen(lambda: self.mine.watch_order_book(SYMBOL), lambda found: found["bids"])
            assert book["bids"][0] == [10.0, 0.03] and book["symbol"] == SYMBOL
            await self.mine.cancel_order(bid["id"], SYMBOL)
            await self.seen(lambda: self.mine.watch_order_book(SYMBOL), lambda found: not found["bids"])
        with self.checks.call(f"watchTrades{when}"):
            trades = await self.seen(lambda: self.mine.watch_trades(SYMBOL), lambda found: found[-1]["price"] > start)
            same(trades[-1], symbol=SYMBOL, side="buy", amount=0.01)
            ids = [int(each["id"]) for each in trades]
            assert ids == sorted(set(ids)), "trades come once, and in their order"
        with self.checks.call(f"watchTicker{when}"):
            ticker = await self.seen(lambda: self.mine.watch_ticker(SYMBOL), lambda found: found["last"] > start)
            assert ticker["symbol"] == SYMBOL and ticker["high"] >= ticker["last"]
        with self.checks.call(f"watchBidsAsks{when}"):
            best = await self.seen(lambda: self.mine.watch_bids_asks([SYMBOL]), lambda found: found.get(SYMBOL))
            assert best[SYMBOL]["symbol"] == SYMBOL
        with self.checks.call(f"watchTickers{when}"):
            await self.seen(lambda: self.mine.watch_tickers([SYMBOL]), lambda found: SYMBOL in found)
        with self.checks.call(f"watchOHLCV{when}"):
            candles = await self.seen(lambda: self.mine.watch_ohlcv(SYMBOL, "1m"), lambda found: found[-1][4] > start)
            assert candles[-1][0] % 60_000 == 0

    async def private(self, when: str) -> None:
        start = self.price
        with self.checks.call(f"watchOrders{when}"):
            orders = await self.seen(
                lambda: self.mine.watch_orders(SYMBOL),
                lambda found: found[-1]["status"] == "closed" and found[-1]["price"] > start,
            )
            same(orders[-1], symbol=SYMBOL, side="buy", filled=0.01, amount=0.01)
        with self.checks.call(f"watchMyTrades{when}"):
            trades = await self.seen(
                lambda: self.mine.watch_my_trades(SYMBOL), lambda found: found[-1]["price"] > start
            )
            same(trades[-1], symbol=SYMBOL, side="buy", amount=0.01, takerOrMaker="taker")
            assert trades[-1]["fee"]["currency"] == BASE
        with self.checks.call(f"watchBalance{when}"):
            before = (await self.mine.fetch_balance())[BASE]["total"]
            balance = await self.seen(
                self.mine.watch_balance, lambda found: found.get(BASE, {}).get("total", 0) > before
            )
            assert abs(balance[QUOTE]["total"] - (await self.mine.fetch_balance())[QUOTE]["total"]) < 10_000

    async def orders(self) -> None:
        with self.checks.call("createOrderWs, fetchOrderWs, cancelOrderWs"):
            order = await self.mine.create_order_ws(SYMBOL, "limit", "buy", 0.01, 20)
            same(order, status="open", price=20.0, amount=0.01)
            same(await self.mine.fetch_order_ws(order["id"], SYMBOL), status="open", id=order["id"])
            assert [each["id"] for each in await self.mine.fetch_open_orders_ws(SYMBOL)] == [order["id"]]
            same(await self.mine.cancel_order_ws(order["id"], SYMBOL), status="canceled")


async def main() -> int:
    checks, wire = Checks("ccxt.pro", ccxt.__version__), Wire(PLACE.url)
    mine = ccxt.pro.binance(watching(await wire.start()))
    other = ccxt.pro.binance(settings(PLACE.other_key, PLACE.other_secret))
    tour = Tour(checks, mine, other, wire)
    try:
        await mine.load_markets()
        await tour.all("")
        with checks.call("the wire is cut"):
            assert wire.cut() > 0
        await tour.all(", after a cut")
        await tour.orders()
    finally:
        await mine.close()
        await other.close()
        await wire.stop()
    return checks.end()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
