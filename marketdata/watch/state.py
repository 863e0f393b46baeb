"""What is known of the market that is watched, and how what comes changes it. Nothing here reads, waits or draws."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Data = Mapping[str, Any]
DEPTH, TRADES, TICKER = "depth", "trades", "ticker"
TRADES_KEPT, CLOSED_KEPT = 100, 5


@dataclass
class Watched:
    """`orders` are those of the account that is signed in, by their ids; None where nobody is.

    `notes` says of each stream how it is: an empty text while it is open.
    """

    symbol: str
    account: str = ""
    book: Data = field(default_factory=dict)
    ticker: Data = field(default_factory=dict)
    trades: "deque[Data]" = field(default_factory=lambda: deque(maxlen=TRADES_KEPT))
    orders: dict[int, Data] | None = None
    closed: "deque[Data]" = field(default_factory=lambda: deque(maxlen=CLOSED_KEPT))
    notes: dict[str, str] = field(default_factory=dict)

    def take(self, kind: str, data: Any) -> None:
        """A message of the market's stream. Of books the newest counts, because messages may overtake each other."""
        if kind == DEPTH and data["sequence"] >= self.book.get("sequence", 0):
            self.book = data
        elif kind == TRADES:
            self.take_trades(data)
        elif kind == TICKER:
            self.ticker = data

    def take_trades(self, oldest_first: Iterable[Data]) -> None:
        """Those that are not known yet: what the stream sends may have been read over REST before."""
        newest = self.trades[0]["sequence"] if self.trades else 0
        for trade in oldest_first:
            if trade["sequence"] > newest:
                self.trades.appendleft(trade)

    def replace_trades(self, newest_first: Iterable[Data]) -> None:
        """After a gap."""
        self.trades.clear()
        self.trades.extend(newest_first)

    def replace_orders(self, open_orders: Iterable[Data]) -> None:
        """After a gap: what closed meanwhile is no longer among them."""
        self.orders = {order["orderId"]: order for order in open_orders}

    def take_order(self, order: Data) -> None:
        """An update of one's own order, of whichever market. An older one than what is known changes nothing."""
        if self.orders is None or order["symbol"] != self.symbol:
            return
        known = self.orders.get(order["orderId"])
        if known is not None and (known["sequence"] or 0) > (order["sequence"] or 0):
            return
        self.orders.pop(order["orderId"], None)
        if order["active"]:
            self.orders[order["orderId"]] = order
        elif all(closed["orderId"] != order["orderId"] for closed in self.closed):
            self.closed.appendleft(order)
