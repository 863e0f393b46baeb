"""What a stream delivers to its reader."""

from dataclasses import dataclass
from datetime import datetime

from ..answers.market import Depth, Ticker, Trade
from ..answers.orders import Fill, LastTrade, Order


@dataclass(frozen=True, slots=True)
class Opened:
    """The stream is read from now on, or again. `orders`: those that are open, at the first opening of one's own."""

    orders: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The connection is lost: what is known may be old until `Opened`, and what is missed comes after that."""

    cause: str


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """An order as of one step. `trade` is its half of a trade; each is delivered once."""

    order: Order
    event_id: str
    sequence: int
    trade: LastTrade | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Events were missed, and REST was read instead: the orders that are other than they were, and the new fills.

    `since`: from when on fills were looked for; None where nothing was delivered before, so that history is not in it.
    """

    reason: str
    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    since: datetime | None


@dataclass(frozen=True, slots=True)
class DepthUpdate:
    """The order book with its best 20 levels."""

    depth: Depth


@dataclass(frozen=True, slots=True)
class TradesUpdate:
    """What was traded, oldest first, each trade once. `was_missed`: the stream lacked it, and it was read by REST.

    `is_complete` is false where more was missed than was read: what is older is in `each_trade`.
    """

    symbol: str
    trades: tuple[Trade, ...]
    was_missed: bool = False
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class TickerUpdate:
    """The last 24 hours."""

    ticker: Ticker


@dataclass(frozen=True, slots=True)
class MarketReset:
    """The market's numbers may begin anew: forget those that you compare by."""

    symbol: str


OrderNews = Opened | Interrupted | OrderUpdate | Gap
MarketNews = Opened | Interrupted | DepthUpdate | TradesUpdate | TickerUpdate | MarketReset
