"""Requests over a socket that are calls of REST: which method is which."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from base.streams.socket import Socket
from base.web.authentication import Caller

API = "/api/v3/"


class Call(NamedTuple):
    """A call of REST. `is_signed`: by the request's own signature, or by that of its session."""

    verb: str
    path: str
    is_signed: bool = True


CALLS = {
    "exchangeInfo": Call("GET", "exchangeInfo", False),
    "depth": Call("GET", "depth", False),
    "trades.recent": Call("GET", "trades", False),
    "trades.historical": Call("GET", "historicalTrades", False),
    "trades.aggregate": Call("GET", "aggTrades", False),
    "klines": Call("GET", "klines", False),
    "uiKlines": Call("GET", "uiKlines", False),
    "avgPrice": Call("GET", "avgPrice", False),
    "ticker.24hr": Call("GET", "ticker/24hr", False),
    "ticker.price": Call("GET", "ticker/price", False),
    "ticker.book": Call("GET", "ticker/bookTicker", False),
    "order.place": Call("POST", "order"),
    "order.test": Call("POST", "order/test"),
    "order.status": Call("GET", "order"),
    "order.cancel": Call("DELETE", "order"),
    "order.cancelReplace": Call("POST", "order/cancelReplace"),
    "openOrders.status": Call("GET", "openOrders"),
    "openOrders.cancelAll": Call("DELETE", "openOrders"),
    "orderList.place.oco": Call("POST", "orderList/oco"),
    "orderList.status": Call("GET", "orderList"),
    "orderList.cancel": Call("DELETE", "orderList"),
    "openOrderLists.status": Call("GET", "openOrderList"),
    "allOrders": Call("GET", "allOrders"),
    "myTrades": Call("GET", "myTrades"),
    "account.status": Call("GET", "account"),
    "account.commission": Call("GET", "account/commission"),
    "account.rateLimits.orders": Call("GET", "rateLimit/order"),
}


class Answer(NamedTuple):
    """What REST answered."""

    status: int
    body: Any


class Rest(Protocol):
    """REST as sockets call it."""

    async def ask(
        self, caller: Caller | None, socket: Socket, verb: str, path: str, query: Mapping[str, str]
    ) -> Answer:
        """The answer, once it is known what became of an order, as far as its client waits for that."""


def socket_body(answer: Answer) -> dict[str, Any]:
    """The answer as it is sent over a socket."""
    return {"status": answer.status, "result" if answer.status < 400 else "error": answer.body}
