"""The types of the core: orders, commands, events, trades and outcomes, with their words.

Prices, quantities and amounts are integers of units (see money).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    LIMIT = "LIMIT"
    MARKET = "MARKET"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"
    TRAILING_STOP = "TRAILING_STOP"


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"


class SelfTradePrevention(StrEnum):
    NONE = "NONE"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"
    DECREMENT = "DECREMENT"


class Status(StrEnum):
    PENDING = "PENDING"
    WAITING = "WAITING"
    TRIGGERED = "TRIGGERED"
    OPEN = "OPEN"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"


class Phase(StrEnum):
    """Where an order is: in the inbox or on its way through the book, waiting for its stop price, resting in the book,
    or closed.
    """

    TAKING = "TAKING"
    WAITING = "WAITING"
    RESTING = "RESTING"
    CLOSED = "CLOSED"


# An order in one of these may still trade.
ACTIVE_PHASES = (Phase.TAKING, Phase.WAITING, Phase.RESTING)
_ALWAYS_CLOSED = (Status.FILLED, Status.CANCELLED, Status.REJECTED, Status.EXPIRED, Status.FAILED)


def phases_of(status: Status) -> tuple[Phase, ...]:
    """The phases that an order with this status may be in."""
    if status in _ALWAYS_CLOSED:
        return (Phase.CLOSED,)
    if status is Status.WAITING:
        return (Phase.WAITING,)
    if status in (Status.PENDING, Status.TRIGGERED):
        return (Phase.TAKING,)
    return (Phase.TAKING, Phase.RESTING) if status is Status.OPEN else (Phase.TAKING, Phase.RESTING, Phase.CLOSED)


class FeeCurrency(StrEnum):
    """In which asset the orders of a market pay their fees: in the one that they receive, or all in the quote asset."""

    RECEIVED = "RECEIVED"
    QUOTE = "QUOTE"


class MarketStatus(StrEnum):
    """A market's trading status. A market that is neither TRADING nor in AUCTION takes cancels alone.

    The engine treats CANCEL_ONLY and HALTED alike. Operators set the first while they close a market; the second also
    is what a market becomes that halts by itself. AUCTION collects LIMIT orders that rest without trading, until the
    market trades again. DELISTED is final: all that rests is cancelled.
    """

    TRADING = "TRADING"
    CANCEL_ONLY = "CANCEL_ONLY"
    HALTED = "HALTED"
    AUCTION = "AUCTION"
    DELISTED = "DELISTED"


# What a market with one of these takes: all kinds, or what an auction collects.
TAKES_ORDERS = (MarketStatus.TRADING, MarketStatus.AUCTION)


class CommandKind(StrEnum):
    """What a command asks a market's worker for."""

    NEW = "NEW"
    CANCEL = "CANCEL"
    EXPIRE = "EXPIRE"
    AMEND = "AMEND"
    REPLACE = "REPLACE"
    OCO = "OCO"
    TRIGGER = "TRIGGER"
    REFUSE = "REFUSE"
    RESUME = "RESUME"
    CANCEL_ONLY = "CANCEL_ONLY"
    HALT = "HALT"
    AUCTION = "AUCTION"
    DELIST = "DELIST"


# The commands that bring an order along, which their worker reads with them.
WITH_ORDER = (
    *(CommandKind.NEW, CommandKind.AMEND, CommandKind.REPLACE, CommandKind.OCO, CommandKind.TRIGGER),
    CommandKind.REFUSE,
)


# The commands that set the market's trading status, with the status that they set. The others concern an order.
TRADING_STATUS_AFTER = {
    CommandKind.RESUME.value: MarketStatus.TRADING,
    CommandKind.CANCEL_ONLY.value: MarketStatus.CANCEL_ONLY,
    CommandKind.HALT.value: MarketStatus.HALTED,
    CommandKind.AUCTION.value: MarketStatus.AUCTION,
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
    DEAD_MAN_SWITCH = "DEAD_MAN_SWITCH"
    GTD_EXPIRED = "GTD_EXPIRED"
    OCO = "OCO"
    TRIGGERED = "TRIGGERED"
    AMENDED = "AMENDED"
    AMEND_REFUSED = "AMEND_REFUSED"
    NOTHING_TO_REPLACE = "NOTHING_TO_REPLACE"
    NOT_IN_AUCTION = "NOT_IN_AUCTION"
    MARKET_HALTED = "MARKET_HALTED"
    MARKET_DELISTED = "MARKET_DELISTED"
    PRICE_PROTECTION = "PRICE_PROTECTION"
    SIMULATED = "SIMULATED"
    INTERNAL_ERROR = "INTERNAL_ERROR"


# Which status may follow which. PARTIALLY_FILLED is the status of a resting order and also of a closed order whose
# remainder could not trade: the phase shows which of them it is.
# An amend, a refused one and a decrement make an event that leaves the status as it is.
_FILLING = frozenset({Status.PARTIALLY_FILLED, Status.FILLED, Status.CANCELLED, Status.EXPIRED, Status.FAILED})
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset(Status) - {Status.PENDING, Status.TRIGGERED},
    Status.WAITING: frozenset({Status.WAITING, Status.TRIGGERED, Status.CANCELLED, Status.EXPIRED, Status.FAILED}),
    Status.TRIGGERED: frozenset(Status) - {Status.PENDING, Status.WAITING, Status.TRIGGERED},
    Status.OPEN: _FILLING | {Status.OPEN, Status.REJECTED},
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

    `price` is None for MARKET; `quantity` is None for a MARKET BUY by quote quantity, and else what may be filled in
    all: what self-trade prevention took is not in it any more, but in `prevented`. `spend_limit` is the most quote
    that a MARKET BUY may spend in all. `frozen` is the amount still frozen for the order: quote of a buy, base of a
    sell. Fee rates are in units (0.001 is 100_000; a negative one is a maker's rebate), and so is the band that the
    order was accepted with; `protection_price` is the furthest price that it may trade at by that band, fixed when it
    begins. `fee_in_quote` is of a BUY: its fees are in quote (see `fees`).

    The fields from `is_extended` on belong to the kinds beyond plain LIMIT and MARKET orders. A plain order has none of
    them, and pays for none of them: `is_extended` is what the hot path asks. `tip` is what of an iceberg is visible.
    `priority` is the number of the event that gave the order its place, if that is not its first (`sequence`).
    An amend makes a new Order, so that those of earlier events stay as they were. `placed` are the price and the
    quantity with which it was placed, of an order that was plain until then; its events before that have no terms.
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
    fee_in_quote: bool = False
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
    is_extended: bool = False
    stop_price: int | None = None
    trailing_offset: int | None = None
    is_triggered: bool = False
    # The caller's instant too.
    triggered_at: object = None
    display_quantity: int | None = None
    tip: int | None = None
    # The caller's instant: the core reads no clock, and is given a command when it is due.
    expires_at: object = None
    group_id: int | None = None
    prevented: int = 0
    prevented_notional: int = 0
    priority: int | None = None
    # The one resting order that it meets as a taker; None: all that it crosses.
    meets: int | None = None
    placed: tuple[int, int] | None = None
    # The caller's instant. Of an order that is closed already when its command is read.
    closed_at: object = None

    @property
    def active(self) -> bool:
        """Whether it may still trade."""
        return self.phase is not Phase.CLOSED

    @property
    def place(self) -> int:
        """Its time priority: the number of the event that gave it its place."""
        return self.priority or self.sequence or 0


@dataclass(frozen=True, slots=True)
class Rules:
    """What the core needs of a market: its assets, its lot, its tick and the smallest step of each asset, in units."""

    lot_size: int
    base_step: int = 1
    quote_step: int = 1
    symbol: str = ""
    base: str = "BASE"
    quote: str = "QUOTE"
    tick_size: int = 1


class PendingCommand(NamedTuple):
    """A command in the inbox. `order` is that of a command of WITH_ORDER, as it is stored, and None otherwise.

    `data` is what else the command says, and `reserved` the amount that was frozen for it, in units. `goes_on`: it was
    applied in part, and its order is an unfinished taker. `stop` is the stop leg of an OCO, whose limit leg is `order`.
    """

    id: int
    kind: str
    order_id: int
    order: Order | None
    data: Mapping[str, Any] | None = None
    reserved: int = 0
    goes_on: bool = False
    stop: Order | None = None
