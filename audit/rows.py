"""Rows as the audit reads them: tuples with amounts in units, read in chunks along a key.

Django builds the statement, and the driver gives the values: Django's conversion of each value would take most of the
time.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from django.db import connection
from django.db.models import DateTimeField, Model, QuerySet

from balances.models import Balance, HouseAccount, LedgerEntry, Transfer
from base.storage.bulk import batched
from base.storage.fields import AmountField
from commands.models import Command
from core.money import stored_units
from markets.models import Candle, Trade
from orders.models import Order, OrderEvent
from positions.models import Position

CHUNK = 5_000
# How many keys a statement may list.
KEYS = 500
FIRST = -1


class OrderRow(NamedTuple):
    id: int
    user_id: int
    side: str
    type: str
    time_in_force: str
    post_only: int
    self_trade_prevention: str
    price: int | None
    quantity: int | None
    quote_quantity: int | None
    filled_quantity: int
    filled_notional: int
    frozen: int
    spend_limit: int | None
    price_band: int | None
    maker_fee_rate: int
    taker_fee_rate: int
    fee_in_quote: int
    status: str
    reason: str | None
    phase: str
    sequence: int | None
    closed_at: datetime | None
    placed_by_id: int | None = None
    # What plain orders do not have.
    priority: int | None = None
    stop_price: int | None = None
    trailing_offset: int | None = None
    triggered_at: datetime | None = None
    display_quantity: int | None = None
    tip: int | None = None
    expires_at: datetime | None = None
    group_id: int | None = None
    prevented_quantity: int | None = None
    prevented_notional: int | None = None
    # What it was placed with, of an order that was plain until it was amended: its events before that have no terms.
    placed_price: int | None = None
    placed_quantity: int | None = None
    meets_id: int | None = None

    @property
    def name(self) -> str:
        return f"order {self.id}"

    @property
    def active(self) -> bool:
        return self.phase != "CLOSED"

    @property
    def rests(self) -> bool:
        return self.phase == "RESTING"

    @property
    def waits(self) -> bool:
        """Whether it waits for its stop price."""
        return self.phase == "WAITING"

    @property
    def place(self) -> int:
        """Its time priority."""
        return self.priority or self.sequence or 0

    @property
    def remaining(self) -> int | None:
        """What neither was filled nor prevented; None of a budget in quote."""
        return None if self.quantity is None else self.quantity - self.filled_quantity - (self.prevented_quantity or 0)


class EventRow(NamedTuple):
    sequence: int
    order_id: int
    user_id: int
    status: str
    reason: str | None
    active: int
    filled_quantity: int
    filled_notional: int
    trade_sequence: int | None
    terms: str | None


class TradeRow(NamedTuple):
    sequence: int
    buy_order_id: int
    sell_order_id: int
    buyer_id: int
    seller_id: int
    taker_side: str
    price: int
    quantity: int
    notional: int
    buyer_fee: int
    seller_fee: int
    rebate: int
    fee_in_quote: int
    created_at: datetime

    @property
    def maker_id(self) -> int:
        return self.seller_id if self.taker_side == "BUY" else self.buyer_id

    @property
    def taker_pays_base(self) -> bool:
        """Whether the taker's fee, and so the rebate, is in the base asset."""
        return self.taker_side == "BUY" and not self.fee_in_quote


class EntryRow(NamedTuple):
    id: int
    account: int
    currency_id: str
    kind: str
    amount: int
    reference: str


class BalanceRow(NamedTuple):
    id: int
    user_id: int
    currency_id: str
    available: int
    frozen: int

    @property
    def name(self) -> str:
        return f"balance {self.user_id} {self.currency_id}"


class TransferRow(NamedTuple):
    id: int
    reference: str
    user_id: int | None
    currency_id: str
    amount: int
    operator_id: int | None
    created_at: datetime

    @property
    def account(self) -> int:
        """Its user's, or the fee account's of a payout."""
        return HouseAccount.FEES.value if self.user_id is None else self.user_id


class PositionRow(NamedTuple):
    id: int
    user_id: int
    asset_id: str
    entry_id: int
    quantity: int
    cost: int
    realized: int


class CandleRow(NamedTuple):
    id: int
    interval: int
    opens_at: datetime
    open: int
    high: int
    low: int
    close: int
    volume: int
    quote_volume: int
    trades: int


class CommandRow(NamedTuple):
    id: int
    market_id: str
    kind: str
    order_id: int | None
    data: str | None
    reserved: int
    created_at: datetime

    @property
    def details(self) -> dict[str, Any]:
        """What the command says beside its order."""
        return json.loads(self.data) if self.data else {}


_MODELS: dict[type, type[Model]] = {
    OrderRow: Order,
    EventRow: OrderEvent,
    TradeRow: Trade,
    EntryRow: LedgerEntry,
    BalanceRow: Balance,
    TransferRow: Transfer,
    PositionRow: Position,
    CandleRow: Candle,
    CommandRow: Command,
}
Row = TypeVar("Row", bound=tuple[Any, ...])
T = TypeVar("T")


def read(shape: type[Row], *, by: str = "id", after: int = FIRST, **conditions: Any) -> Iterator[Row]:
    """Every row that meets the conditions, in the order of the key `by`, from the value behind `after` on.

    The key must be unique among these rows.
    """
    model: Any = _MODELS[shape]
    columns: tuple[str, ...] = shape._fields  # type: ignore[attr-defined]
    place = columns.index(by)
    while True:
        rows = model.objects.filter(**conditions, **{f"{by}__gt": after}).order_by(by).values_list(*columns)
        found = fetch(rows[:CHUNK], shape)
        yield from found
        if len(found) < CHUNK:
            return
        after = found[-1][place]


def fetch(rows: QuerySet[Any, Any], shape: type[Row]) -> list[Row]:
    """The rows of a query whose columns are the shape's."""
    return list(map(_reader(shape), fetch_plain(rows)))


def fetch_plain(rows: QuerySet[Any, Any]) -> Sequence[tuple[Any, ...]]:
    """The rows of a query as the driver gives them."""
    with connection.cursor() as cursor:
        cursor.execute(*rows.query.sql_with_params())
        rows_found: Sequence[tuple[Any, ...]] = cursor.fetchall()
    return rows_found


def batched_keys(keys: Iterable[T]) -> Iterator[list[T]]:
    """The keys, in lists of as many as a statement may have."""
    return batched(keys, KEYS)


def instant(value: datetime | str) -> datetime:
    """A stored time. SQLite gives it as text."""
    return (datetime.fromisoformat(value) if isinstance(value, str) else value).replace(tzinfo=UTC)


@lru_cache(maxsize=32)
def _reader(shape: Any) -> Callable[[tuple[Any, ...]], Any]:
    """A function that makes the shape from a row as the driver gives it."""
    fields = [_MODELS[shape]._meta.get_field(name) for name in shape._fields]
    amounts = [place for place, field in enumerate(fields) if isinstance(field, AmountField)]
    times = [place for place, field in enumerate(fields) if isinstance(field, DateTimeField)]

    def convert(values: tuple[Any, ...]) -> Any:
        cells = list(values)
        for place in amounts:
            if (cell := cells[place]) is not None:
                cells[place] = stored_units(cell)
        for place in times:
            if (cell := cells[place]) is not None:
                cells[place] = instant(cell)
        return shape._make(cells)

    return convert
