"""Stock python-binance: Client, AsyncClient, BinanceSocketManager, DepthCacheManager and its WebSocket API."""

import asyncio
import contextlib
import sys
from collections.abc import Callable
from typing import Any

from binance import AsyncClient, BinanceSocketManager, Client, DepthCacheManager, __version__
from binance.base_client import BaseClient
from binance.exceptions import BinanceAPIException
from checks import Checks, Place, refused, same

PLACE = Place()
NAME = PLACE.name
BASE, QUOTE = PLACE.market.split("-")[:2]
# The addresses, which are constants of its classes: nothing else is changed.
BaseClient.API_URL = f"{PLACE.url}/api"
BaseClient.WS_API_URL = f"{PLACE.socket}/ws-api/v3"
BinanceSocketManager.STREAM_URL = f"{PLACE.socket}/"


def read(checks: Checks, mine: Client, other: Client) -> None:
    for each in (mine, other):
        with contextlib.suppress(BinanceAPIException):
            each.cancel_all_open_orders(symbol=NAME)
    with checks.call("ping, get_server_time, get_system address"):
        assert mine.ping() == {} and mine.get_server_time()["serverTime"] > 0
    with checks.call("get_exchange_info, get_symbol_info"):
        info = mine.get_symbol_info(NAME)
        same(info, symbol=NAME, status="TRADING", baseAsset=BASE, quoteAsset=QUOTE)
        steps = {each["filterType"]: each for each in info["filters"]}
        assert float(steps["PRICE_FILTER"]["tickSize"]) == 0.01 and float(steps["LOT_SIZE"]["stepSize"]) == 0.0001
        assert mine.get_exchange_info()["rateLimits"]
    with checks.call("get_account, get_asset_balance"):
        assert float(mine.get_asset_balance(QUOTE)["free"]) > 0
        assert {each["asset"] for each in mine.get_account()["balances"]} >= {BASE, QUOTE}


def trade(checks: Checks, mine: Client, other: Client) -> None:
    with checks.call("order_limit_sell, order_limit_buy"):
        ask = other.order_limit_sell(symbol=NAME, quantity="0.5", price="100")
        same(ask, symbol=NAME, status="NEW", side="SELL", type="LIMIT", executedQty="0.00000000")
        bought = mine.order_limit_buy(symbol=NAME, quantity="0.2", price="100")
        same(bought, status="FILLED", executedQty="0.20000000", cummulativeQuoteQty="20.00000000")
        (fill,) = bought["fills"]
        same(fill, price="100.00000000", qty="0.20000000", commissionAsset=BASE)
    with checks.call("order_market_buy, by quantity and by quoteOrderQty"):
        same(mine.order_market_buy(symbol=NAME, quantity="0.1"), status="FILLED", executedQty="0.10000000")
        same(mine.order_market_buy(symbol=NAME, quoteOrderQty="5"), status="FILLED", cummulativeQuoteQty="5.00000000")
    with checks.call("get_order, get_open_orders, get_all_orders"):
        same(other.get_order(symbol=NAME, orderId=ask["orderId"]), status="PARTIALLY_FILLED", orderId=ask["orderId"])
        assert [each["orderId"] for each in other.get_open_orders(symbol=NAME)] == [ask["orderId"]]
        assert bought["orderId"] in {each["orderId"] for each in mine.get_all_orders(symbol=NAME)}
    with checks.call("get_my_trades"):
        mine_now = [each for each in mine.get_my_trades(symbol=NAME) if each["orderId"] == bought["orderId"]]
        same(mine_now[0], price="100.00000000", qty="0.20000000", isBuyer=True, isMaker=False, commissionAsset=BASE)
    with checks.call("create_test_order"):
        assert mine.create_test_order(symbol=NAME, side="BUY", type="MARKET", quantity="0.1") == {}
    with checks.call("create_order: STOP_LOSS_LIMIT, LIMIT_MAKER"):
        stop = {"symbol": NAME, "side": "SELL", "quantity": "0.01", "timeInForce": "GTC"}
        stopped = mine.create_order(type="STOP_LOSS_LIMIT", price="59", stopPrice="60", **stop)
        same(mine.get_order(symbol=NAME, orderId=stopped["orderId"]), status="NEW", stopPrice="60.00000000")
        mine.create_order(symbol=NAME, side="BUY", type="LIMIT_MAKER", price="50", quantity="0.1")
    with checks.call("create_oco_order"):
        legs = {"aboveType": "LIMIT_MAKER", "abovePrice": "200", "belowType": "STOP_LOSS", "belowStopPrice": "40"}
        assert len(mine.create_oco_order(symbol=NAME, side="SELL", quantity="0.01", **legs)["orders"]) == 2
    with checks.call("cancel_order, cancel_all_open_orders"):
        same(other.cancel_order(symbol=NAME, orderId=ask["orderId"]), status="CANCELED", orderId=ask["orderId"])
        assert len(mine.cancel_all_open_orders(symbol=NAME)) >= 2
        assert mine.get_open_orders(symbol=NAME) == []


def market(checks: Checks, mine: Client, other: Client) -> None:
    other.order_limit_sell(symbol=NAME, quantity="0.3", price="110")
    with checks.call("get_order_book, get_orderbook_ticker(s)"):
        assert mine.get_order_book(symbol=NAME)["asks"][0] == ["110.00000000", "0.30000000"]
        same(mine.get_orderbook_ticker(symbol=NAME), askPrice="110.00000000", askQty="0.30000000")
        assert NAME in {each["symbol"] for each in mine.get_orderbook_tickers()}
    with checks.call("get_recent_trades, get_historical_trades, get_aggregate_trades"):
        for trades in (mine.get_recent_trades(symbol=NAME), mine.get_historical_trades(symbol=NAME)):
            same(trades[-1], price="100.00000000", isBuyerMaker=False)
        assert mine.get_aggregate_trades(symbol=NAME)[-1]["p"] == "100.00000000"
    with checks.call("get_klines, get_historical_klines"):
        assert float(mine.get_klines(symbol=NAME, interval=Client.KLINE_INTERVAL_1MINUTE)[-1][4]) == 100
        assert mine.get_historical_klines(NAME, Client.KLINE_INTERVAL_1MINUTE, "1 hour ago UTC")
    with checks.call("get_ticker, get_symbol_ticker, get_all_tickers, get_avg_price"):
        same(mine.get_ticker(symbol=NAME), symbol=NAME, lastPrice="100.00000000")
        assert float(mine.get_symbol_ticker(symbol=NAME)["price"]) == 100
        assert NAME in {each["symbol"] for each in mine.get_all_tickers()}
        assert float(mine.get_avg_price(symbol=NAME)["price"]) == 100
    other.cancel_all_open_orders(symbol=NAME)


def refusals(checks: Checks, mine: Client) -> None:
    limit = {"symbol": NAME, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1"}
    for name, number, change in (
        ("too little money", -2010, {"price": "1000", "quantity": "100000"}),
        ("off the tick", -1013, {"price": "50.001"}),
        ("unknown symbol", -1121, {"price": "50", "symbol": "NOSUCH"}),
        ("no price", -1102, {}),
    ):
        with checks.call(f"refused: {name}"), refused(BinanceAPIException, code=number):
            mine.create_order(**{**limit, **change})
    with checks.call("refused: unknown order"), refused(BinanceAPIException, code=-2013):
        mine.get_order(symbol=NAME, orderId=999_999_999)
    with checks.call("refused: cancel of an unknown order"), refused(BinanceAPIException, code=-2011):
        mine.cancel_order(symbol=NAME, orderId=999_999_999)
    with checks.call("refused: wrong secret"), refused(BinanceAPIException, code=-1022):
        Client(PLACE.key, "0" * 64).get_account()


async def received(socket: Any, is_good: Callable[[Any], Any], act: Callable[[], Any], seconds: float = 15) -> Any:
    """The first good message, while something happens again and again."""

    async def look() -> Any:
        while not is_good(message := await socket.recv()):
            pass
        return message

    looking = asyncio.ensure_future(look())
    for _ in range(int(seconds * 2)):
        await act()
        await asyncio.wait((looking,), timeout=0.5)
        if looking.done():
            return looking.result()
    looking.cancel()
    raise AssertionError(f"nothing good within {seconds} s")


async def sockets(checks: Checks) -> None:
    mine = await AsyncClient.create(PLACE.key, PLACE.secret)
    other = await AsyncClient.create(PLACE.other_key, PLACE.other_secret)
    manager = BinanceSocketManager(mine)

    async def act() -> None:
        ask = await other.order_limit_sell(symbol=NAME, quantity="0.02", price="100")
        await mine.order_limit_buy(symbol=NAME, quantity="0.01", price="100")
        await other.cancel_order(symbol=NAME, orderId=ask["orderId"])

    try:
        with checks.call("AsyncClient: order, read, cancel"):
            order = await mine.order_limit_buy(symbol=NAME, quantity="0.1", price="20")
            assert [each["orderId"] for each in await mine.get_open_orders(symbol=NAME)] == [order["orderId"]]
            same(await mine.cancel_order(symbol=NAME, orderId=order["orderId"]), status="CANCELED")
        for name, socket, kind in (
            ("trade_socket", manager.trade_socket(NAME), "trade"),
            ("aggtrade_socket", manager.aggtrade_socket(NAME), "aggTrade"),
            ("kline_socket", manager.kline_socket(NAME), "kline"),
            ("depth_socket", manager.depth_socket(NAME, interval=100), "depthUpdate"),
            ("symbol_ticker_socket", manager.symbol_ticker_socket(NAME), "24hrTicker"),
        ):
            with checks.call(name):
                async with socket as open_socket:
                    message = await received(open_socket, lambda found, kind=kind: found.get("e") == kind, act)
                    same(message, s=NAME)
        with checks.call("symbol_book_ticker_socket"):
            async with manager.symbol_book_ticker_socket(NAME) as socket:
                same(await received(socket, lambda found: found.get("s"), act), s=NAME)
        with checks.call("depth_socket, in part"):
            async with manager.depth_socket(NAME, depth="5") as socket:
                assert await received(socket, lambda found: found.get("lastUpdateId"), act)
        with checks.call("multiplex_socket"):
            streams = [f"{NAME.lower()}@trade", f"{NAME.lower()}@bookTicker"]
            async with manager.multiplex_socket(streams) as socket:
                assert (await received(socket, lambda found: found["stream"] == streams[0], act))["data"]["s"] == NAME
        with checks.call("user_socket"):
            async with manager.user_socket() as socket:
                report = await received(
                    socket, lambda found: found["e"] == "executionReport" and found["X"] == "FILLED", act
                )
                same(report, s=NAME, S="BUY", q="0.01000000", l="0.01000000", N=BASE)
                await received(socket, lambda found: found["e"] == "outboundAccountPosition", act)
        with checks.call("DepthCacheManager"):
            bid = await mine.order_limit_buy(symbol=NAME, quantity="0.03", price="10")
            async with DepthCacheManager(mine, NAME, ws_interval=100, bm=manager) as cache:
                book = await received(cache, lambda found: found.get_bids() and found.get_bids()[0][0] == 10, act)
                assert book.get_bids()[0] == [10.0, 0.03]
            await mine.cancel_order(symbol=NAME, orderId=bid["orderId"])
        with checks.call("ws_create_order, ws_get_order, ws_cancel_order"):
            order = await mine.ws_order_limit_buy(symbol=NAME, quantity="0.01", price="20")
            same(await mine.ws_get_order(symbol=NAME, orderId=order["orderId"]), status="NEW")
            same(await mine.ws_cancel_order(symbol=NAME, orderId=order["orderId"]), status="CANCELED")
    finally:
        await mine.close_connection()
        await other.close_connection()


def main() -> int:
    checks = Checks("python-binance", __version__)
    mine, other = Client(PLACE.key, PLACE.secret), Client(PLACE.other_key, PLACE.other_secret)
    read(checks, mine, other)
    trade(checks, mine, other)
    market(checks, mine, other)
    refusals(checks, mine)
    asyncio.run(sockets(checks))
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
