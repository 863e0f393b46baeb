"""A local order book that checks itself by the market's sequence."""

import time
from dataclasses import dataclass, field
from decimal import Decimal

from ..answers.market import Depth, Level
from .events import DepthUpdate, Interrupted, MarketNews, MarketReset, Opened

# The stream shows so many levels of each side.
SHOWN = 20


@dataclass
class OrderBook:
    """The book of one market, kept by the events of its stream, and deeper than these by a snapshot of REST.

    `is_stale` is true before the first depth and while the connection is lost, because the book may have changed
    meanwhile. Levels below the 20 that the stream shows are as of `deep_sequence`.
    """

    symbol: str
    sequence: int = -1
    deep_sequence: int = -1
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()
    is_stale: bool = True
    why_stale: str = "nothing was read yet"
    # The sequence of the market is never lower than that of a depth before it: so many were passed over.
    passed_over: int = 0
    updated_at: float = field(default=0.0, repr=False)

    def apply(self, news: MarketNews) -> bool:
        """Whether the event has changed the book."""
        if isinstance(news, Interrupted):
            self._go_stale(news.cause)
        elif isinstance(news, MarketReset) and news.symbol == self.symbol:
            # Its numbers may be smaller after a failover; a full depth follows.
            self.sequence = self.deep_sequence = -1
            self._go_stale("the stream was reset")
        elif isinstance(news, Opened):
            self._go_stale("the stream was opened, and no depth came yet")
        elif isinstance(news, DepthUpdate):
            return self._take(news.depth, shown=SHOWN)
        return False

    def snapshot(self, depth: Depth) -> bool:
        """Take a depth that was read by REST; whether it was newer than, or as new as, what is known.

        The book stays as stale as it is: what comes after the snapshot is shown by the stream alone.
        """
        return self._take(depth, shown=None)

    def agrees_with(self, depth: Depth) -> bool | None:
        """Whether a depth of REST shows the same best levels; None where the two are of different moments."""
        if (depth.symbol, depth.sequence) != (self.symbol, self.sequence):
            return None
        levels = min(SHOWN, len(depth.bids), len(self.bids)), min(SHOWN, len(depth.asks), len(self.asks))
        same = self.bids[: levels[0]] == depth.bids[: levels[0]] and self.asks[: levels[1]] == depth.asks[: levels[1]]
        return same and bool(depth.bids) == bool(self.bids) and bool(depth.asks) == bool(self.asks)

    @property
    def best_bid(self) -> Level | None:
        return self.bids[0] if self.bids else None

    @property
    def best_ask(self) -> Level | None:
        return self.asks[0] if self.asks else None

    @property
    def mid(self) -> Decimal | None:
        return (self.bids[0].price + self.asks[0].price) / 2 if self.bids and self.asks else None

    def _take(self, depth: Depth, shown: int | None) -> bool:
        if depth.symbol != self.symbol:
            return False
        if depth.sequence < self.sequence:
            self.passed_over += 1
            return False
        if shown is None:
            self.bids, self.asks, self.deep_sequence = depth.bids, depth.asks, depth.sequence
        else:
            self.bids = _above(depth.bids, self.bids, shown, sign=-1)
            self.asks = _above(depth.asks, self.asks, shown, sign=1)
            # A side that is shown in full has nothing deeper.
            if len(depth.bids) < shown and len(depth.asks) < shown:
                self.deep_sequence = depth.sequence
            self.is_stale, self.why_stale = False, ""
        self.sequence, self.updated_at = depth.sequence, time.monotonic()
        return True

    def _go_stale(self, why: str) -> None:
        self.is_stale, self.why_stale = True, why


def _above(best: tuple[Level, ...], known: tuple[Level, ...], shown: int, *, sign: int) -> tuple[Level, ...]:
    """The best levels as they are shown, and behind them what was known of worse prices."""
    if len(best) < shown:
        return best
    edge = best[-1].price * sign
    return (*best, *(level for level in known if level.price * sign > edge))
