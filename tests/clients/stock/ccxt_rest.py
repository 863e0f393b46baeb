"""Stock ccxt, its class `binance`, on a quiet market: python ccxt_rest.py sync|async [sample]

Every call is checked field by field. Both classes go through the same list: what the sync one answers is not awaited.
"""

import asyncio
import contextlib
import inspect
import sys
import time
from typing import Any

import ccxt
import ccxt.async_support
from checks import Checks, Place, refused, same

PLACE = Place()
SYMBOL = PLACE.symbol
BASE, QUOTE = SYMBOL.split("/")
SETTLED_SECONDS = 5
# As shipped, the exchange lets 100 requests of an address in within ten seconds.
MORE_THAN_LIMIT, LET_IN_SECONDS = 200, 20


def settings(key: str = PLACE.key, secret: str = PLACE.secret, **more: Any) -> dict[str, Any]:
    """The address, the key, and what of Binance is not spot trading: nothing else."""
    api = {"public": f"{PLACE.url}/api/v3", "private": f"{PLACE.url}/api/v3"}
    options = {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}
    options |= {"fetchMargins": False}
    named = {"apiKey": key, "secret": secret, "options": options, "urls": {"api": api}}
    return {"enableRateLimit": not PLACE.is_unlimited, **named, **more}


async def done(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


class Tour:
    """One user, and another one who sells."""

    def __init__(self, module: Any, name: str) -> None:
        self.module = module
        self.checks = Checks(name, ccxt.__version__)
        self.mine = module.binance(settings())
        self.other = module.binance(settings(PLACE.other_key, PLACE.other_secret))
        self.call = self.checks.call

    async def close(self) -> None:
        for each in (self.mine, self.other):
            if hasattr(each, "close") and inspect.iscoroutinefunction(each.close):
                await each.close()

    async def status(self, order: dict[str, Any], wanted: str) -> dict[str, Any]:
        """The order once it has this status."""
        deadline = time.monotonic() + SETTLED_SECONDS
        while True:
            found = await done(self.mine.fetch_order(order["id"], SYMBOL))
            if found["status"] == wanted or time.monotonic() > deadline:
                same(found, status=wanted)
                return found
            await asyncio.sleep(0.05)

    async def short(self) -> None:
        """What `make test` looks at."""
        await self.markets()
        await self.clear()
        await self.trading()
        await self.refusals()

    async def long(self) -> None:
        await self.markets()
        await self.clear()
        await self.trading()
        await self.lists()
        await self.reading()
        await self.kinds()
        await self.changes()
        await self.refusals()
        await self.too_many()

    async def clear(self) -> None:
        for each in (self.mine, self.other):
            with contextlib.suppress(ccxt.OrderNotFound):
                await done(each.cancel_all_orders(SYMBOL))

    async def markets(self) -> None:
        with self.call("load_markets"):
            market = (await done(self.mine.load_markets()))[SYMBOL]
            same(market, id=PLACE.name, base=BASE, quote=QUOTE, active=True, spot=True, type="spot")
        with self.call("load_markets: precision"):
            same(market["precision"], price=0.01, amount=0.0001)
        with self.call("load_markets: limits"):
            assert market["limits"]["amount"]["min"] == 0.0001 and market["limits"]["amount"]["max"] > 0
            assert market["limits"]["price"]["min"] == 0.01
        with self.call("load_markets: order types"):
            assert {"LIMIT", "LIMIT_MAKER", "MARKET"} <= set(market["info"]["orderTypes"])
        with self.call("fetch_time"):
            assert abs(await done(self.mine.fetch_time()) - self.mine.milliseconds()) < 5_000
        with self.call("public ping"):
            assert await done(self.mine.public_get_ping()) == {}
        with self.call("fetch_balance"):
            balance = await done(self.mine.fetch_balance())
            assert balance[QUOTE]["free"] > 0 and balance[BASE]["free"] > 0
            for asset in (QUOTE, BASE):
                total = balance[asset]["free"] + balance[asset]["used"]
                assert abs(balance[asset]["total"] - total) < 1e-6
            assert balance["info"]["canTrade"] is True

    async def trading(self) -> None:
        with self.call("create_order: limit, resting"):
            ask = await done(self.other.create_limit_sell_order(SYMBOL, 0.5, 100))
            same(ask, symbol=SYMBOL, type="limit", side="sell", price=100.0, amount=0.5, filled=0.0, status="open")
            same(ask, remaining=0.5, timeInForce="GTC", postOnly=False, cost=0.0)
            assert ask["id"] and ask["clientOrderId"] and ask["timestamp"]
        with self.call("create_order: limit, filled at once, with its fills"):
            self.before = await done(self.mine.fetch_balance())
            bought = await done(self.mine.create_limit_buy_order(SYMBOL, 0.2, 101))
            same(bought, status="closed", filled=0.2, remaining=0.0, average=100.0, cost=20.0, price=101.0)
            (trade,) = bought["trades"]
            same(trade, price=100.0, amount=0.2)
            assert trade["fee"]["currency"] == BASE and trade["fee"]["cost"] == bought["fee"]["cost"] > 0
            self.bought = bought
        with self.call("fetch_balance: after a trade"):
            after = await done(self.mine.fetch_balance())
            assert abs(self.before[QUOTE]["total"] - after[QUOTE]["total"] - 20) < 1e-6
            received = 0.2 - bought["fee"]["cost"]
            assert abs(after[BASE]["total"] - self.before[BASE]["total"] - received) < 1e-6
        with self.call("create_order: market by quantity"):
            same(await done(self.mine.create_market_buy_order(SYMBOL, 0.1)), status="closed", filled=0.1, cost=10.0)
        with self.call("create_market_buy_order_with_cost"):
            by_cost = await done(self.mine.create_market_buy_order_with_cost(SYMBOL, 5))
            same(by_cost, status="closed", filled=0.05, cost=5.0, type="market")
        with self.call("fetch_order"):
            same(await done(self.mine.fetch_order(bought["id"], SYMBOL)), status="closed", filled=0.2, cost=20.0)
            same(await done(self.other.fetch_order(ask["id"], SYMBOL)), status="open", filled=0.35, amount=0.5)
        with self.call("cancel_order"):
            same(await done(self.other.cancel_order(ask["id"], SYMBOL)), id=ask["id"], status="canceled", filled=0.35)
        with self.call("fetch_my_trades, with fees"):
            trades = await done(self.mine.fetch_my_trades(SYMBOL, limit=10))
            (fill,) = [each for each in trades if each["order"] == bought["id"]]
            same(fill, symbol=SYMBOL, side="buy", price=100.0, amount=0.2, cost=20.0, takerOrMaker="taker")
            same(fill["fee"], currency=BASE, cost=bought["fee"]["cost"])
            maker = (await done(self.other.fetch_my_trades(SYMBOL, limit=1)))[0]
            same(maker, side="sell", takerOrMaker="maker")
            assert maker["fee"]["currency"] == QUOTE

    async def lists(self) -> None:
        with self.call("fetch_orders"):
            found = {each["id"]: each for each in await done(self.mine.fetch_orders(SYMBOL, limit=50))}
            same(found[self.bought["id"]], status="closed", side="buy")
        with self.call("fetch_orders: since"):
            since = self.bought["timestamp"] - 1
            assert all(each["timestamp"] > since for each in await done(self.mine.fetch_orders(SYMBOL, since)))
        with self.call("fetch_closed_orders"):
            closed = await done(self.mine.fetch_closed_orders(SYMBOL))
            assert self.bought["id"] in {each["id"] for each in closed}
            assert {each["status"] for each in closed} == {"closed"}
        with self.call("fetch_canceled_orders"):
            canceled = await done(self.other.fetch_canceled_orders(SYMBOL))
            assert {each["status"] for each in canceled} <= {"canceled"} and canceled
        with self.call("fetch_order_trades"):
            (trade,) = await done(self.mine.fetch_order_trades(self.bought["id"], SYMBOL))
            same(trade, amount=0.2)
        with self.call("fetch_my_trades: since"):
            trades = await done(self.mine.fetch_my_trades(SYMBOL, since=self.bought["timestamp"] - 60_000))
            assert len(trades) >= 3 and trades == sorted(trades, key=lambda each: each["timestamp"])
        with self.call("fetch_my_trades: of all by id"):
            first = (await done(self.mine.fetch_my_trades(SYMBOL, params={"fromId": 0})))[0]
            assert int(first["id"]) >= 0

    async def reading(self) -> None:
        await done(self.other.create_limit_sell_order(SYMBOL, 0.3, 110))
        await done(self.other.create_limit_sell_order(SYMBOL, 0.2, 111))
        await done(self.mine.create_limit_buy_order(SYMBOL, 0.1, 90))
        with self.call("fetch_order_book"):
            book = await done(self.mine.fetch_order_book(SYMBOL))
            assert (book["asks"][:2], book["bids"][0]) == ([[110.0, 0.3], [111.0, 0.2]], [90.0, 0.1])
            assert book["symbol"] == SYMBOL and book["nonce"] > 0
        with self.call("fetch_order_book: limit"):
            assert len((await done(self.mine.fetch_order_book(SYMBOL, 5)))["asks"]) == 2
        with self.call("fetch_trades"):
            trade = (await done(self.mine.fetch_trades(SYMBOL, limit=1)))[0]
            same(trade, symbol=SYMBOL, price=100.0, amount=0.05, cost=5.0, side="buy")
            assert trade["id"] and trade["timestamp"]
        with self.call("fetch_trades: since"):
            assert len(await done(self.mine.fetch_trades(SYMBOL, since=self.bought["timestamp"] - 60_000))) >= 3
        with self.call("fetch_trades: publicGetTrades"):
            every = await done(self.mine.fetch_trades(SYMBOL, params={"fetchTradesMethod": "publicGetTrades"}))
            same(every[-1], price=100.0, amount=0.05, side="buy")
        with self.call("fetch_trades: publicGetHistoricalTrades"):
            older = {"fetchTradesMethod": "publicGetHistoricalTrades"}
            same((await done(self.mine.fetch_trades(SYMBOL, params=older)))[-1], price=100.0)
        with self.call("fetch_ohlcv"):
            candles = await done(self.mine.fetch_ohlcv(SYMBOL, "1m", limit=10))
            assert sum(candle[5] for candle in candles) >= 0.35 and candles[-1][4] == 100.0
            assert all(candle[0] % 60_000 == 0 for candle in candles)
        with self.call("fetch_ohlcv: since, until, and every timeframe"):
            for timeframe in ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d", "1w", "1M"):
                assert (await done(self.mine.fetch_ohlcv(SYMBOL, timeframe, limit=2)))[-1][4] == 100.0
            since = self.mine.milliseconds() - 300_000
            candles = await done(self.mine.fetch_ohlcv(SYMBOL, "1m", since=since, params={"until": since + 300_000}))
            assert all(candle[0] >= since for candle in candles)
        with self.call("fetch_ticker"):
            ticker = await done(self.mine.fetch_ticker(SYMBOL))
            same(ticker, symbol=SYMBOL, last=100.0, close=100.0, bid=90.0, ask=110.0, high=100.0, low=100.0, open=100.0)
            assert ticker["baseVolume"] >= 0.35 and abs(ticker["quoteVolume"] / ticker["baseVolume"] - 100) < 1e-6
            assert ticker["timestamp"] and ticker["vwap"] == 100.0
        with self.call("fetch_tickers"):
            same((await done(self.mine.fetch_tickers([SYMBOL])))[SYMBOL], last=100.0)
            assert SYMBOL in await done(self.mine.fetch_tickers())
        with self.call("fetch_bids_asks"):
            best = (await done(self.mine.fetch_bids_asks([SYMBOL])))[SYMBOL]
            same(best, bid=90.0, bidVolume=0.1, ask=110.0, askVolume=0.3)
        with self.call("fetch_last_prices"):
            assert (await done(self.mine.fetch_last_prices([SYMBOL])))[SYMBOL]["price"] == 100.0
        with self.call("public avgPrice"):
            assert float((await done(self.mine.public_get_avgprice({"symbol": PLACE.name})))["price"]) == 100.0
        with self.call("private rateLimit/order"):
            assert isinstance(await done(self.mine.private_get_ratelimit_order()), list)
        await self.clear()

    async def kinds(self) -> None:
        """Every kind of order that ccxt sends on spot."""
        create = self.mine.create_order
        await done(self.other.create_limit_sell_order(SYMBOL, 0.2, 100))
        with self.call("create_order: post only"):
            maker = await done(create(SYMBOL, "limit", "buy", 0.1, 80, {"postOnly": True}))
            same(maker, status="open", postOnly=True, price=80.0)
        with self.call("create_order: post only that would take"), refused(ccxt.OrderImmediatelyFillable):
            await done(create(SYMBOL, "limit", "buy", 0.1, 100, {"postOnly": True}))
        with self.call("create_order: immediate or cancel"):
            ioc = await done(create(SYMBOL, "limit", "buy", 0.3, 100, {"timeInForce": "IOC"}))
            same(ioc, filled=0.2, timeInForce="IOC", status="expired")
        with self.call("create_order: fill or kill"):
            fok = await done(create(SYMBOL, "limit", "buy", 0.3, 100, {"timeInForce": "FOK"}))
            same(fok, filled=0.0, timeInForce="FOK", status="expired")
        with self.call("create_order: market with nobody to trade with"):
            same(await done(create(SYMBOL, "market", "buy", 0.1)), filled=0.0, status="expired")
        for name, kind, price, params in (
            ("stop loss", "market", None, {"stopLossPrice": 60}),
            ("stop loss, limit", "limit", 59, {"stopLossPrice": 60}),
            ("take profit", "market", None, {"takeProfitPrice": 200}),
            ("take profit, limit", "limit", 199, {"takeProfitPrice": 200}),
            ("trigger price", "market", None, {"triggerPrice": 61}),
        ):
            with self.call(f"create_order: {name}"):
                stop = await done(create(SYMBOL, kind, "sell", 0.01, price, params))
                same(stop, side="sell", amount=0.01, status="open", triggerPrice=float(next(iter(params.values()))))
                found = await done(self.mine.fetch_order(stop["id"], SYMBOL))
                same(found, status="open", price=None if price is None else float(price))
        with self.call("create_order: trailing stop by a fraction"):
            trailing = {"trailingPercent": 1, "stopLossOrTakeProfit": "stopLoss"}
            if "trailingDelta" not in str(self.mine.markets[SYMBOL]["info"].get("filters")):
                # What exchangeInfo does not allow is refused by name.
                with refused(ccxt.InvalidOrder):
                    await done(create(SYMBOL, "market", "sell", 0.01, None, trailing))
            else:
                same(await done(create(SYMBOL, "market", "sell", 0.01, None, trailing)), status="open")
        with self.call("create_order: iceberg"):
            iceberg = await done(create(SYMBOL, "limit", "sell", 0.05, 150, {"icebergAmount": 0.01}))
            assert (await done(self.mine.fetch_order_book(SYMBOL)))["asks"][0] == [150.0, 0.01]
            assert float((await done(self.mine.fetch_order(iceberg["id"], SYMBOL)))["info"]["icebergQty"]) == 0.01
        with self.call("create_order: self trade prevention"):
            prevented = {"selfTradePrevention": "EXPIRE_TAKER", "timeInForce": "IOC"}
            own = await done(create(SYMBOL, "limit", "buy", 0.01, 150, prevented))
            same(own, filled=0.0)
        with self.call("create_order: test"):
            await done(create(SYMBOL, "limit", "buy", 0.01, 50, {"test": True}))
        with self.call("fetch_open_orders"):
            opened = await done(self.mine.fetch_open_orders(SYMBOL))
            assert {each["status"] for each in opened} == {"open"} and len(opened) == 7, [each["id"] for each in opened]
        with self.call("cancel_all_orders"):
            assert len(await done(self.mine.cancel_all_orders(SYMBOL))) == 7
            assert await done(self.mine.fetch_open_orders(SYMBOL)) == []

    async def changes(self) -> None:
        with self.call("clientOrderId: create, fetch, cancel"):
            named = {"clientOrderId": f"mine-{self.mine.milliseconds()}"}
            order = await done(self.mine.create_limit_buy_order(SYMBOL, 0.1, 50, named))
            same(order, clientOrderId=named["clientOrderId"])
            same(await done(self.mine.fetch_order(None, SYMBOL, named)), id=order["id"])
            same(await done(self.mine.cancel_order(None, SYMBOL, named)), id=order["id"], status="canceled")
        with self.call("edit_order"):
            old = await done(self.mine.create_limit_buy_order(SYMBOL, 0.1, 50))
            new = await done(self.mine.edit_order(old["id"], SYMBOL, "limit", "buy", 0.2, 51))
            same(new, status="open", price=51.0, amount=0.2)
            await self.status(old, "canceled")
        with self.call("one cancels the other: orderList/oco"):
            legs = {"symbol": PLACE.name, "side": "SELL", "quantity": "0.01", "aboveType": "LIMIT_MAKER"}
            legs |= {"abovePrice": "200", "belowType": "STOP_LOSS", "belowStopPrice": "50"}
            oco = await done(self.mine.private_post_orderlist_oco(legs))
            assert len(oco["orders"]) == 2 and int(oco["orderListId"]) > 0
            one, other = oco["orders"]
            await done(self.mine.cancel_order(one["orderId"], SYMBOL))
            await self.status({"id": other["orderId"]}, "canceled")
        with self.call("one cancels the other: order/oco"):
            legs = {"symbol": PLACE.name, "side": "SELL", "quantity": "0.01", "price": "200", "stopPrice": "50"}
            assert len((await done(self.mine.private_post_order_oco(legs)))["orders"]) == 2
        await self.clear()

    async def refusals(self) -> None:
        create = self.mine.create_order
        with self.call("refused: InsufficientFunds"), refused(ccxt.InsufficientFunds):
            await done(create(SYMBOL, "limit", "buy", 100_000, 1_000))
        with self.call("refused: InvalidOrder, off the tick"), refused(ccxt.InvalidOrder, "PRICE_FILTER"):
            await done(self._raw(price="50.001"))
        with self.call("refused: InvalidOrder, off the lot"), refused(ccxt.InvalidOrder, "LOT_SIZE"):
            await done(self._raw(quantity="0.00001"))
        with self.call("refused: BadSymbol"), refused(ccxt.BadSymbol):
            await done(self.mine.public_get_depth({"symbol": "NOSUCH"}))
        with self.call("refused: OrderNotFound by fetch_order"), refused(ccxt.OrderNotFound):
            await done(self.mine.fetch_order("999999999", SYMBOL))
        with self.call("refused: OrderNotFound by cancel_order"), refused(ccxt.OrderNotFound):
            await done(self.mine.cancel_order("999999999", SYMBOL))
        with self.call("refused: OrderNotFound of another's order"), refused(ccxt.OrderNotFound):
            order = await done(self.other.create_limit_buy_order(SYMBOL, 0.01, 20))
            await done(self.mine.fetch_order(order["id"], SYMBOL))
        with self.call("refused: AuthenticationError, wrong secret"):
            await self._as(settings(secret="0" * 64), ccxt.AuthenticationError)
        with self.call("refused: AuthenticationError, unknown key"):
            await self._as(settings(key="nobody"), ccxt.AuthenticationError)
        with self.call("refused: InvalidNonce"):
            await self._as(settings(), ccxt.InvalidNonce, late=True)
        with self.call("refused: BadRequest, a parameter is missing"), refused(ccxt.BadRequest):
            await done(self.mine.private_get_order({"symbol": PLACE.name}))
        await self.clear()

    def _raw(self, **changed: str) -> Any:
        order = {"symbol": PLACE.name, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        return self.mine.private_post_order({**order, "price": "50", "quantity": "0.1", **changed})

    async def _as(self, own: dict[str, Any], kind: type[BaseException], late: bool = False) -> None:
        stranger = self.module.binance(own)
        if late:
            stranger.milliseconds = lambda: 1_600_000_000_000
        try:
            with refused(kind):
                await done(stranger.private_get_account())
        finally:
            if inspect.iscoroutinefunction(getattr(stranger, "close", None)):
                await stranger.close()

    async def too_many(self) -> None:
        """Last, because an address that asked for too much waits. ccxt calls each 429 of Binance's so."""
        with self.call("refused: DDoSProtection"):
            stranger = self.module.binance(settings(enableRateLimit=False))
            try:
                with refused(ccxt.DDoSProtection, "-1003"):
                    for _ in range(MORE_THAN_LIMIT):
                        await done(stranger.public_get_ping())
                await self.let_in(stranger)
            finally:
                if inspect.iscoroutinefunction(getattr(stranger, "close", None)):
                    await stranger.close()

    async def let_in(self, stranger: Any) -> None:
        """Who waits is let in again; whoever comes next from this address too."""
        for _ in range(LET_IN_SECONDS):
            await asyncio.sleep(1)
            with contextlib.suppress(ccxt.DDoSProtection):
                await done(stranger.public_get_ping())
                return
        raise AssertionError(f"still refused after {LET_IN_SECONDS} s")


async def main(which: str, length: str) -> int:
    module = ccxt if which == "sync" else ccxt.async_support
    tour = Tour(module, f"ccxt {which}")
    try:
        await (tour.short() if length == "sample" else tour.long())
    finally:
        await tour.close()
    return tour.checks.end()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], (sys.argv[2:] or ["all"])[0])))
