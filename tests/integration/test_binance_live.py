"""A bot on `/api/v3` as it trades: signed over HTTP, answered with what the real worker did."""

import hashlib
import hmac
import time
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.support.live import Live


class StockClient:
    """Signs as Binance's clients do, and knows nothing of ours."""

    def __init__(self, port: int, key: str, secret: str) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v3/", headers={"X-MBX-APIKEY": key})
        self._secret = secret.encode()

    def call(self, method: str, path: str, **parameters: Any) -> httpx.Response:
        text = urlencode({**parameters, "recvWindow": 10_000, "timestamp": int(time.time() * 1000)})
        text += f"&signature={hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()}"
        if method == "POST":
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return self._client.post(path, content=text, headers=headers)
        return self._client.request(method, f"{path}?{text}")

    def keyed(self, method: str, path: str, **parameters: str) -> httpx.Response:
        return self._client.request(method, path, params=parameters)


def test_a_bot_trades_with_full_answers(exchange: Live) -> None:
    symbol = exchange.market()
    alice, bob = exchange.trader("alice", USD="10000"), exchange.trader("bob", BTC="10")
    bob.played(symbol, "sell 1 @ 100")
    made = alice.call("POST", "/keys", {"label": "bot", "scopes": ["read", "trade"]}).json()["data"]
    bot = StockClient(exchange.port, made["keyId"], made["secret"])
    order = {"symbol": symbol.replace("-", ""), "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "101"}
    placed = bot.call("POST", "order", **order, quantity="2", newClientOrderId="live", newOrderRespType="FULL")
    answer = placed.json()
    assert (placed.status_code, answer["status"], answer["executedQty"]) == (200, "PARTIALLY_FILLED", "1.00000000")
    assert [(fill["price"], fill["qty"]) for fill in answer["fills"]] == [("100.00000000", "1.00000000")]
    assert int(placed.headers["X-MBX-ORDER-COUNT-1D"]) == 1
    again = bot.call("POST", "order", **order, quantity="2", newClientOrderId="live", newOrderRespType="FULL")
    assert again.json() == answer, "the same order again is the same order"
    cancelled = bot.call("DELETE", "order", symbol=order["symbol"], origClientOrderId="live")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELED")
    assert (alice.holds("USD"), alice.holds("BTC")) == ("9900 0", "1 0")
    [trade] = bot.call("GET", "myTrades", symbol=order["symbol"]).json()
    assert trade["orderId"] == answer["orderId"]
    # What is kept in Redis for it may be kept there.
    listen_key = bot.keyed("POST", "userDataStream").json()["listenKey"]
    assert bot.keyed("PUT", "userDataStream", listenKey=listen_key).json() == {}
    assert bot.keyed("DELETE", "userDataStream", listenKey=listen_key).json() == {}
    assert bot.keyed("PUT", "userDataStream", listenKey=listen_key).json()["code"] == -1125
