"""The types of the core: orders, commands, events, trades and outcomes, with their words.

Prices, quantities and amounts are integers of units (see money).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    LIMIT = "LIMIT"
    MARKET = "MARKET"


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class SelfTradePrevention(StrEnum):
    NONE = "NONE"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"


class Status(StrEnum):
    PENDING = "PENDING"
    OPEN = "OPEN"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"


class Phase(StrEnum):
    """Where an order is: in the inbox or on its way through the book, resting in the book, or closed."""

    TAKING = "TAKING"
    RESTING = "RESTING"
    CLOSED = "CLOSED"


# An order in one of these may still trade.
ACTIVE_PHASES = (Phase.TAKING, Phase.RESTING)
_ALWAYS_CLOSED = (Status.FILLED, Status.CANCELLED, Status.REJECTED, Status.EXPIRED, Status.FAILED)


def phases_of(status: Status) -> tuple[Phase, ...]:
    """The phases that an order with this status may be in."""
    if status in _ALWAYS_CLOSED:
        return (Phase.CLOSED,)
    return ACTIVE_PHASES if status in (Status.PENDING, Status.OPEN) else tuple(Phase)


class MarketStatus(StrEnum):
    """A market's trading status. A market that is not TRADING takes cancels alone.

    The engine treats CANCEL_ONLY and HALTED alike. Operators set the first while they close a market; the second also
    is what a market becomes that halts by itself. DELISTED is final: all that rests is cancelled.
    """

    TRADING = "TRADING"
    CANCEL_ONLY = "CANCEL_ONLY"
    HALTED = "HALTED"
    DELISTED = "DELISTED"


class CommandKind(StrEnum):
    """What a command asks a market's worker for."""

    NEW = "NEW"
    CANCEL = "CANCEL"
    RESUME = "RESUME"
    CANCEL_ONLY = "CANCEL_ONLY"
    HALT = "HALT"
    DELIST = "DELIST"


# The commands that set the market's trading status, with the status that they set. The others concern an order.
TRADING_STATUS_AFTER = {
    CommandKind.RESUME.value: MarketStatus.TRADING,
    CommandKind.CANCEL_ONLY.value: MarketStatus.CANCEL_ONLY,
    CommandKind.HALT.value: MarketStatus.HALTED,
    CommandKind.DELIST.value: MarketStatus.DELISTED,
}


class Reason(StrEnum):
    NO_LIQUIDITY = "NO_LIQUIDITY"
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    IOC_REMAINDER = "IOC_REMAINDER"
    FOK_NOT_FILLABLE = "FOK_NOT_FILLABLE"
    WOULD_TAKE = "WOULD_TAKE"
    SELF_TRADE = "SELF_TRADE"
    USER_CANCELLED = "USER_CANCELLED"
    MARKET_HALTED = "MARKET_HALTED"
    MARKET_DELISTED = "MARKET_DELISTED"
    PRICE_PROTECTION = "PRICE_PROTECTION"
    INTERNAL_ERROR = "INTERNAL_ERROR"


# Which status may follow which. PARTIALLY_FILLED is the status of a resting order and also of a closed order whose
# remainder could not trade: the phase shows which of them it is.
_FILLING = frozenset({Status.PARTIALLY_FILLED, Status.FILLED, Status.CANCELLED, Status.FAILED})
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset(Status) - {Status.PENDING},
    Status.OPEN: _FILLING,
    Status.PARTIALLY_FILLED: _FILLING,
    Status.FILLED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.REJECTED: frozenset(),
    Status.EXPIRED: frozenset(),
    Status.FAILED: frozenset(),
}


@dataclass(slots=True, eq=False)
class Order:
    """An order as the core sees it. The core changes `spend_limit`, `protection_price` and the fields from `filled` on.

    `price` is None for MARKET; `quantity` is None for a MARKET BUY by quote quantity; `spend_limit` is the most quote
    that a MARKET BUY may spend in all. `frozen` is the amount still frozen for the order: quote of a buy, base of a
    sell. Fee rates are in units (0.001 is 100_000), and so is the band that the order was accepted with;
    `protection_price` is the furthest price that it may trade at by that band, fixed when it begins.
    """

    id: int
    user_id: int
    side: Side
    type: OrderType
    price: int | None
    quantity: int | None
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.EXPIRE_TAKER
    maker_fee_rate: int = 0
    taker_fee_rate: int = 0
    spend_limit: int | None = None
    price_band: int | None = None
    protection_price: int | None = None
    filled: int = 0
    filled_notional: int = 0
    frozen: int = 0
    status: Status = Status.PENDING
    reason: Reason | None = None
    phase: Phase = Phase.TAKING
    sequence: int | None = None
    # An object of the caller that stays with the order; the core neither reads nor changes it.
    info: object = None

    @property
    def active(self) -> bool:
        """Whether it may still trade."""
        return self.phase is not Phase.CLOSED


@dataclass(frozen=True, slots=True)
class Rules:
    """What the core needs of a market: its assets, its lot and the smallest step of each asset, in units."""

    lot_size: int
    base_step: int = 1
    quote_step: int = 1
    symbol: str = ""
    base: str = "BASE"
    quote: str = "QUOTE"


class PendingCommand(NamedTuple):
    """A command in the inbox. `order` is the order of a NEW command, and None otherwise."""

    id: int
    kind: str
    order_id: int
    order: Order | None


class Trade(NamedTuple):
    """One meeting of a taker and a resting order, at the resting order's price.

    `buyer_unfrozen` is the amount that leaves the buyer's frozen funds: the notional at the buyer's own limit price.
    The difference to `notional` becomes available. It is 0 for a MARKET BUY by quantity, which has nothing frozen.
    """

    sequence: int
    taker: Order
    buyer: Order
    seller: Order
    price: int
    quantity: int
    notional: int
    buyer_fee: int
    seller_fee: int
    buyer_unfrozen: int

    @property
    def maker(self) -> Order:
        return self.seller if self.taker is self.buyer else self.buyer


class Event(NamedTuple):
    """One step in an order's life, with the order's state after it. `released` moves from frozen to available."""

    sequence: int
    order: Order
    status: Status
    reason: Reason | None
    active: bool
    filled: int
    filled_notional: int
    released: int
    trade: Trade | None


class Outcome(NamedTuple):
    """All that one command changed. `finished` is false for a taker that goes on first in the next batch."""

    events: list[Event]
    trades: list[Trade]
    finished: bool = True
