"""Orders, and what becomes of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from .account import Balance


@dataclass(frozen=True, slots=True)
class Order:
    """An order's full state."""

    order_id: int
    client_order_id: str | None
    user_id: int
    symbol: str
    side: str
    type: str
    time_in_force: str
    post_only: bool
    price: Decimal | None
    quantity: Decimal | None
    quote_quantity: Decimal | None
    filled_quantity: Decimal
    remaining_quantity: Decimal | None
    prevented_quantity: Decimal
    filled_quote: Decimal
    average_price: Decimal | None
    status: str
    reason: str | None
    active: bool
    # Of an order its time priority, None until its worker took it up; of an update the number of the event.
    sequence: int | None
    placed_by: int | None
    stop_price: Decimal | None
    trailing_offset: Decimal | None
    triggered_at: datetime | None
    display_quantity: Decimal | None
    expires_at: datetime | None
    group_id: int | None
    correlation_id: str
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """An order that is stored with its frozen funds.

    `replayed`: it had been stored before, under its client order id. `order` is what became of it, where one waited for
    that; `replaces` the order that is cancelled for it.
    """

    order_id: int
    client_order_id: str | None
    status: str
    correlation_id: str
    replayed: bool = False
    replaces: int | None = None
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class AcceptedGroup:
    """Two orders of which one cancels the other: the limit leg, and the stop leg."""

    group_id: int
    orders: tuple[Accepted, ...]


@dataclass(frozen=True, slots=True)
class Changing:
    """A cancel or an amend that is stored; the outcome is an event.

    `was_done` is true where an earlier attempt, whose answer was lost, had done it already.
    """

    order_id: int | None
    status: str | None
    was_done: bool = False


@dataclass(frozen=True, slots=True)
class CancelResult:
    """What became of one cancel of several, named as it was asked for. `error` is None where it was accepted."""

    code: int
    message: str
    order_id: int | None = None
    client_order_id: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class DeadManSwitch:
    """When all open orders are cancelled; None once it is disarmed."""

    triggers_at: datetime | None


@dataclass(frozen=True, slots=True)
class Fill:
    """An order's half of a trade. A `fee` below zero is a rebate."""

    trade_id: str
    order_id: int
    symbol: str
    side: str
    role: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One step of an order's timeline."""

    event_id: str
    sequence: int
    status: str
    filled_quantity: Decimal
    reason: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class QueueLevel:
    """The price of a resting order in the book, the order included."""

    price: Decimal
    quantity: Decimal
    order_count: int
    ahead: Decimal


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """What would trade before a resting order. `capped`: more stand there than are counted."""

    ahead: Decimal
    ahead_orders: int
    level: QueueLevel
    capped: bool = False


@dataclass(frozen=True, slots=True)
class PreviewFill:
    """A fill that the order would have."""

    role: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str


@dataclass(frozen=True, slots=True)
class FieldError:
    """Why a preview would be refused."""

    error: str
    message: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of an order if it were the next; `status` is None where it would be refused."""

    status: str | None
    reason: str | None
    filled_quantity: Decimal
    average_price: Decimal | None
    filled_quote: Decimal
    fee: Decimal
    fee_currency: str | None
    fills: tuple[PreviewFill, ...]
    balances_after: tuple[Balance, ...]
    errors: tuple[FieldError, ...]


@dataclass(frozen=True, slots=True)
class LastTrade:
    """With a fill: the order's half of the trade."""

    trade_id: str
    price: Decimal
    quantity: Decimal
    role: str
    fee: Decimal
    fee_currency: str


AsOf = Mapping[str, int]
