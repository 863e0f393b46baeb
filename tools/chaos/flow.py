"""What the clients ask for: every call that places, changes or cancels an order."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from tools.chaos.exchange import SYMBOLS
from tools.chaos.terms import KINDS, PREVENTIONS, PRICE, STOP_TICKS, TICK, near, random_terms, stop_price, utc_now

CALLS = {
    "place": 46,
    "batch": 14,
    "cancel": 18,
    "cancel by key": 3,
    "cancel many": 2,
    "cancel side": 0.5,
    "cancel all": 0.5,
    "cancel all after": 0.3,
    "amend": 9,
    "replace": 4,
    "oco": 3,
}
BATCH_SIZES = range(2, 41)
REMEMBERED = 300
CANCELLED_AT_ONCE = 10

# What the legs of an OCO add to the client's key.
LEGS = ("-limit", "-stop")
CONCERNING = ("cancel", "cancel by key", "cancel many", "amend", "replace")

Request = tuple[str, str, Any]


@dataclass
class Flow:
    """One client's commands. The seed decides them all, but for which of its orders were accepted by then."""

    random: Random
    client: str
    batch_sizes: range = BATCH_SIZES
    now: Callable[[], datetime] = utc_now
    _count: int = 0
    # Orders that may still be cancelled or changed: their ids, and the bodies in which they were asked for.
    recent: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def call(self) -> Request:
        """The next request: method, path and body."""
        kind = self.random.choices(list(CALLS), list(CALLS.values()))[0]
        if kind == "batch":
            orders = [self.order() for _ in range(self.random.choice(self.batch_sizes))]
            return "POST", "/orders/batch", {"orders": orders}
        if kind == "oco":
            return "POST", "/orders/oco", self.oco()
        if kind in CONCERNING and self.recent:
            return self._concerning_recent(kind)
        if kind.startswith("cancel "):
            return self._cancel_of_a_market(kind)
        return "POST", "/orders", self.order()

    def order(self, symbol: str | None = None) -> dict[str, Any]:
        """A random order with a key of its own."""
        kind = self.random.choices(list(KINDS), list(KINDS.values()))[0]
        order = self._new(symbol)
        if self.random.random() < 0.5:
            order["selfTradePrevention"] = self.random.choice(PREVENTIONS)
        return order | random_terms(self.random, kind, order["side"], self.now)

    def oco(self) -> dict[str, Any]:
        """Two legs on both sides of the shared price."""
        order = self._new(None)
        sign = 1 if order["side"] == "SELL" else -1
        price, stop = (f"{PRICE + sign * away * TICK:.1f}" for away in (STOP_TICKS, -STOP_TICKS))
        limit = {"stopLimitPrice": stop} if order["side"] == "BUY" or self.random.random() < 0.5 else {}
        return (
            order
            | limit
            | {"quantity": f"{self.random.randrange(1, 300) / 100:.2f}", "price": price, "stopPrice": stop}
        )

    def remember(self, order_id: int, body: dict[str, Any]) -> None:
        self.recent.append((order_id, body))
        if len(self.recent) > REMEMBERED:
            self.recent.pop(0)

    def _new(self, symbol: str | None) -> dict[str, Any]:
        self._count += 1
        side = self.random.choice(("BUY", "SELL"))
        symbol = symbol or self.random.choice(SYMBOLS)
        return {"symbol": symbol, "side": side, "clientOrderId": f"{self.client}-{self._count}"}

    def _concerning_recent(self, kind: str) -> Request:
        place = self.random.randrange(len(self.recent))
        order_id, body = self.recent[place]
        if kind == "amend" and body.keys() & {"price", "stopPrice"}:
            return "PATCH", f"/orders/{order_id}", self._amend(body)
        if kind == "replace":
            return "POST", f"/orders/{order_id}/replace", self.order(body["symbol"])
        del self.recent[place]
        if kind == "cancel by key":
            return "DELETE", f"/orders/client/{body['clientOrderId']}", None
        if kind != "cancel many":
            return "DELETE", f"/orders/{order_id}", None
        more = [self.recent.pop() for _ in range(min(len(self.recent), CANCELLED_AT_ONCE))]
        return "POST", "/orders/batch-cancel", {"orderIds": [order_id, *(each for each, _ in more)]}

    def _amend(self, body: dict[str, Any]) -> dict[str, str]:
        if "stopPrice" in body and self.random.random() < 0.5:
            return {"stopPrice": stop_price(self.random)}
        if "quantity" not in body or ("price" in body and self.random.random() < 0.5):
            return {"price": near(self.random)} if "price" in body else {"stopPrice": stop_price(self.random)}
        return {"quantity": f"{self.random.randrange(100, 600) / 100:.2f}"}

    def _cancel_of_a_market(self, kind: str) -> Request:
        symbol = self.random.choice(SYMBOLS)
        if kind == "cancel all after":
            return "POST", "/orders/cancel-all-after", {"timeoutSeconds": self.random.randrange(6), "symbol": symbol}
        side = f"&side={self.random.choice(('BUY', 'SELL'))}" if kind == "cancel side" else ""
        return "DELETE", f"/orders?symbol={symbol}{side}", None


def leg_of(oco: dict[str, Any], key: str) -> dict[str, Any]:
    """What may be changed of a leg: its own price."""
    own = "price" if key.endswith(LEGS[0]) else "stopPrice"
    return {"symbol": oco["symbol"], "clientOrderId": key, own: oco[own]}
