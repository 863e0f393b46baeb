"""What the clients ask for: every kind of order around a price that all share, so that much of it trades."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

from tools.chaos.exchange import SYMBOLS

PRICE, SPREAD_TICKS, TICK = 100.0, 6, 0.1
PREVENTIONS = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")
KINDS = {"limit": 50, "market": 8, "budget": 6, "ioc": 10, "fok": 8, "post-only": 18}
CALLS = {"place": 52, "batch": 16, "cancel": 31, "cancel-all": 1}
BATCH_SIZES = range(2, 41)
REMEMBERED = 300


@dataclass
class Flow:
    """One client's commands. The seed decides them all, but for which of its orders were accepted by then."""

    random: Random
    client: str
    batch_sizes: range = BATCH_SIZES
    _count: int = 0
    # Ids of orders that may still be cancelled.
    recent: list[int] = field(default_factory=list)

    def call(self) -> tuple[str, str, Any]:
        """The next request: method, path and body."""
        kind = self.random.choices(list(CALLS), list(CALLS.values()))[0]
        if kind == "cancel" and self.recent:
            return "DELETE", f"/orders/{self.recent.pop(self.random.randrange(len(self.recent)))}", None
        if kind == "cancel-all":
            return "DELETE", f"/orders?symbol={self.random.choice(SYMBOLS)}", None
        if kind == "batch":
            return (
                "POST",
                "/orders/batch",
                {"orders": [self.order() for _ in range(self.random.choice(self.batch_sizes))]},
            )
        return "POST", "/orders", self.order()

    def order(self) -> dict[str, Any]:
        """A random order with a key of its own."""
        self._count += 1
        kind = self.random.choices(list(KINDS), list(KINDS.values()))[0]
        side = self.random.choice(("BUY", "SELL"))
        order = {"symbol": self.random.choice(SYMBOLS), "side": side, "clientOrderId": f"{self.client}-{self._count}"}
        if self.random.random() < 0.5:
            order["selfTradePrevention"] = self.random.choice(PREVENTIONS)
        return order | self._terms(kind, side)

    def _terms(self, kind: str, side: str) -> dict[str, Any]:
        quantity = f"{self.random.randrange(1, 500) / 100:.2f}"
        if kind == "budget" and side == "BUY":
            return {"type": "MARKET", "quoteQuantity": f"{self.random.randrange(10, 500)}"}
        if kind in ("market", "budget"):
            return {"type": "MARKET", "quantity": quantity}
        # Those that must not trade stand a little further off, or nearly all of them would be refused.
        away = (-4 if side == "BUY" else 4) if kind == "post-only" else 0
        ticks = self.random.randint(-SPREAD_TICKS, SPREAD_TICKS) + away
        terms = {"type": "LIMIT", "price": f"{PRICE + ticks * TICK:.1f}", "quantity": quantity}
        if kind in ("ioc", "fok"):
            return terms | {"timeInForce": kind.upper()}
        return terms | ({"postOnly": True} if kind == "post-only" else {})

    def remember(self, order_id: int) -> None:
        self.recent.append(order_id)
        if len(self.recent) > REMEMBERED:
            self.recent.pop(0)
