"""Books in memory, trusted only while they carry the token of the locked row.

A cache and nothing more: it is thrown away on any error, and rebuilt from the resting orders when its token differs.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from markets.models import Market
from matching.core.book import Book
from matching.core.money import DIGITS, to_units
from matching.core.types import Order as CoreOrder
from matching.core.types import OrderType, Rules, SelfTradePrevention, Side, Status, TimeInForce
from matching.models import OrderBook
from orders.models import Order

CORE_COLUMNS = (
    "id",
    "user_id",
    "side",
    "type",
    "price",
    "quantity",
    "time_in_force",
    "post_only",
    "self_trade_prevention",
    "maker_fee_rate",
    "taker_fee_rate",
    "quote_quantity",
    "budget",
    "filled_quantity",
    "filled_notional",
    "frozen",
    "status",
    "sequence",
)
_RESTING = (Status.OPEN.value, Status.PARTIALLY_FILLED.value)


@dataclass(slots=True)
class _Cached:
    token: str
    book: Book


_books: dict[str, _Cached] = {}


def trusted(row: OrderBook) -> Book:
    """The book of a locked row: from memory if it carries the row's token, else rebuilt from the resting orders."""
    cached = _books.get(row.market_id)
    if cached is not None and cached.token == row.token:
        assert cached.book.next_sequence == row.next_sequence, (row.market_id, cached.book.next_sequence)
        return cached.book
    return load(row)


def load(row: OrderBook) -> Book:
    """Rebuild a book from the database. Raises ValueError if it is crossed."""
    rows = resting_orders(row).order_by("sequence").values_list(*CORE_COLUMNS)
    return Book(_rules(row.market_id), row.next_sequence, map(core_order, rows.iterator(chunk_size=5000)))


def resting_orders(row: OrderBook) -> QuerySet[Order]:
    """What rests in the book: all that was applied and may still trade, but the taker that is on its way through it."""
    resting = Order.objects.filter(market_id=row.market_id, active=True, status__in=_RESTING)
    return resting if row.unfinished_order_id is None else resting.exclude(id=row.unfinished_order_id)


def remember(symbol: str, token: str, book: Book) -> None:
    """Keep the book that the committed row's token stands for."""
    _books[symbol] = _Cached(token, book)


def forget(symbol: str) -> None:
    """Throw the book away: it may hold what was never committed."""
    _books.pop(symbol, None)


def core_order(row: tuple[Any, ...]) -> CoreOrder:
    """A row of CORE_COLUMNS as the core's order."""
    (
        order_id,
        user_id,
        side,
        kind,
        price,
        quantity,
        time_in_force,
        post_only,
        self_trade_prevention,
        maker_fee_rate,
        taker_fee_rate,
        quote_quantity,
        budget,
        filled_quantity,
        filled_notional,
        frozen,
        status,
        sequence,
    ) = row
    return CoreOrder(
        id=order_id,
        user_id=user_id,
        side=Side(side),
        type=OrderType(kind),
        price=_units(price),
        quantity=_units(quantity),
        time_in_force=TimeInForce(time_in_force),
        post_only=post_only,
        self_trade_prevention=SelfTradePrevention(self_trade_prevention),
        maker_fee_rate=to_units(maker_fee_rate),
        taker_fee_rate=to_units(taker_fee_rate),
        budget=_units(budget if quote_quantity is None else quote_quantity),
        filled=to_units(filled_quantity),
        filled_notional=to_units(filled_notional),
        frozen=to_units(frozen),
        status=Status(status),
        sequence=sequence,
    )


def _rules(symbol: str) -> Rules:
    market = Market.objects.select_related("base", "quote").get(symbol=symbol)
    return Rules(
        lot_size=to_units(market.lot_size),
        base_step=10 ** (DIGITS - market.base.scale),
        quote_step=10 ** (DIGITS - market.quote.scale),
    )


def _units(amount: Decimal | None) -> int | None:
    return None if amount is None else to_units(amount)
