"""Stock binance-connector: Spot, its stream client and its WebSocket API client."""

import contextlib
import json
import queue
import sys
import time
from collections.abc import Callable
from typing import Any

from binance.__version__ import __version__
from binance.error import ClientError
from binance.spot import Spot
from binance.websocket.spot.websocket_api import SpotWebsocketAPIClient
from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient
from checks import Checks, Place, refused, same

PLACE = Place()
NAME = PLACE.name
BASE, QUOTE = PLACE.market.split("-")[:2]
LIMIT = {"type": "LIMIT", "timeInForce": "GTC"}
PATIENCE_SECONDS = 15


def rest(checks: Checks, mine: Spot, other: Spot) -> None:
    for each in (mine, other):
        with contextlib.suppress(ClientError):
            each.cancel_open_orders(NAME)
    with checks.call("ping, time, exchange_info"):
        assert mine.ping() == {} and mine.time()["serverTime"] > 0
        same(mine.exchange_info(symbol=NAME)["symbols"][0], symbol=NAME, status="TRADING")
    with checks.call("account"):
        assert {each["asset"] for each in mine.account()["balances"]} >= {BASE, QUOTE}
    with checks.call("new_order: LIMIT, MARKET"):
        ask = other.new_order(NAME, "SELL", quantity=0.5, price=100, **LIMIT)
        same(ask, status="NEW")
        bought = mine.new_order(NAME, "BUY", quantity=0.2, price=100, **LIMIT)
        same(bought, status="FILLED", executedQty="0.20000000")
        same(mine.new_order(NAME, "BUY", "MARKET", quoteOrderQty=5), status="FILLED")
    with checks.call("new_order_test"):
        assert mine.new_order_test(NAME, "BUY", "MARKET", quantity=0.1) == {}
    with checks.call("get_order, get_open_orders, get_orders"):
        same(other.get_order(NAME, orderId=ask["orderId"]), status="PARTIALLY_FILLED")
        assert [each["orderId"] for each in other.get_open_orders(NAME)] == [ask["orderId"]]
        assert bought["orderId"] in {each["orderId"] for each in mine.get_orders(NAME)}
    with checks.call("my_trades"):
        trades = [each for each in mine.my_trades(NAME) if each["orderId"] == bought["orderId"]]
        same(trades[0], price="100.00000000", qty="0.20000000", isBuyer=True)
    with checks.call("cancel_and_replace"):
        new = {"quantity": 0.1, "price": 101, "cancelOrderId": ask["orderId"], **LIMIT}
        replaced = other.cancel_and_replace(NAME, "SELL", cancelReplaceMode="STOP_ON_FAILURE", **new)
        same(replaced, cancelResult="SUCCESS", newOrderResult="SUCCESS")
    with checks.call("new_oco_order"):
        legs = {"abovePrice": 200, "belowStopPrice": 40}
        assert len(mine.new_oco_order(NAME, "SELL", 0.01, "LIMIT_MAKER", "STOP_LOSS", **legs)["orders"]) == 2
    with checks.call("depth, book_ticker, trades, agg_trades, historical_trades"):
        assert mine.depth(NAME)["asks"][0] == ["101.00000000", "0.10000000"]
        same(mine.book_ticker(NAME), askPrice="101.00000000")
        assert mine.trades(NAME)[-1]["price"] == mine.historical_trades(NAME)[-1]["price"] == "100.00000000"
        assert mine.agg_trades(NAME)[-1]["p"] == "100.00000000"
    with checks.call("klines, avg_price, ticker_24hr, ticker_price"):
        assert float(mine.klines(NAME, "1m")[-1][4]) == float(mine.avg_price(NAME)["price"]) == 100
        assert float(mine.ticker_24hr(NAME)["lastPrice"]) == float(mine.ticker_price(NAME)["price"]) == 100
    with checks.call("cancel_open_orders, cancel_order"):
        assert len(mine.cancel_open_orders(NAME)) >= 1
        other.cancel_open_orders(NAME)
        with refused(ClientError, error_code=-2011):
            mine.cancel_order(NAME, orderId=bought["orderId"])
    with checks.call("refused: too little money, wrong secret"):
        with refused(ClientError, error_code=-2010):
            mine.new_order(NAME, "BUY", quantity=100_000, price=1_000, **LIMIT)
        with refused(ClientError, error_code=-1022):
            Spot(PLACE.key, "0" * 64, base_url=PLACE.url).account()


class Heard:
    """What a WebSocket client's thread received."""

    def __init__(self) -> None:
        self._messages: queue.Queue[Any] = queue.Queue()

    def __call__(self, _client: Any, message: str) -> None:
        self._messages.put(json.loads(message))

    def first(self, is_good: Callable[[Any], Any], act: Callable[[], Any] = lambda: None) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            act()
            with contextlib.suppress(queue.Empty):
                while True:
                    if is_good(message := self._messages.get(timeout=0.3)):
                        return message
        raise AssertionError(f"nothing good within {PATIENCE_SECONDS} s")


def streams(checks: Checks, mine: Spot, other: Spot) -> None:
    def act() -> None:
        ask = other.new_order(NAME, "SELL", quantity=0.02, price=100, **LIMIT)
        mine.new_order(NAME, "BUY", quantity=0.01, price=100, **LIMIT)
        other.cancel_order(NAME, orderId=ask["orderId"])

    for name, follow, kind in (
        ("trade", lambda client: client.trade(NAME), "trade"),
        ("agg_trade", lambda client: client.agg_trade(NAME), "aggTrade"),
        ("kline", lambda client: client.kline(NAME, "1m"), "kline"),
        ("diff_book_depth", lambda client: client.diff_book_depth(NAME, 100), "depthUpdate"),
        ("ticker", lambda client: client.ticker(NAME), "24hrTicker"),
    ):
        with checks.call(f"stream: {name}"):
            heard = Heard()
            client = SpotWebsocketStreamClient(PLACE.socket, on_message=heard)
            try:
                follow(client)
                same(heard.first(lambda message, kind=kind: message.get("e") == kind, act), s=NAME)
            finally:
                client.stop()
    with checks.call("new_listen_key, user_data, renew_listen_key, close_listen_key"):
        key = mine.new_listen_key()["listenKey"]
        heard = Heard()
        client = SpotWebsocketStreamClient(PLACE.socket, on_message=heard)
        try:
            client.user_data(key)
            report = heard.first(lambda found: found.get("e") == "executionReport" and found["X"] == "FILLED", act)
            same(report, s=NAME, S="BUY")
            assert mine.renew_listen_key(key) == mine.close_listen_key(key) == {}
        finally:
            client.stop()


def socket(checks: Checks) -> None:
    heard = Heard()
    client = SpotWebsocketAPIClient(
        f"{PLACE.socket}/ws-api/v3", api_key=PLACE.key, api_secret=PLACE.secret, on_message=heard
    )
    try:
        with checks.call("WebSocket API: ping"):
            client.ping_connectivity(id=1)
            same(heard.first(lambda found: found["id"] == 1), status=200)
        with checks.call("WebSocket API: new_order, cancel_order"):
            client.new_order(id=2, symbol=NAME, side="BUY", price=20, quantity=0.01, newOrderRespType="RESULT", **LIMIT)
            placed = heard.first(lambda found: found["id"] == 2)
            assert placed["status"] == 200, placed
            client.cancel_order(id=3, symbol=NAME, orderId=placed["result"]["orderId"])
            same(heard.first(lambda found: found["id"] == 3)["result"], status="CANCELED")
    finally:
        client.stop()


def main() -> int:
    checks = Checks("binance-connector", __version__)
    mine = Spot(PLACE.key, PLACE.secret, base_url=PLACE.url)
    other = Spot(PLACE.other_key, PLACE.other_secret, base_url=PLACE.url)
    rest(checks, mine, other)
    streams(checks, mine, other)
    socket(checks)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
