"""Books in memory, trusted only while they carry the token of the locked row.

A cache and nothing more: it is thrown away on any error, and rebuilt from the resting orders when its token differs.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection

from base.storage.bulk import GuardFailed, stored_instant
from base.storage.fields import stored_units, units_or_none
from core.market import Market
from core.money import DIGITS, to_units
from core.types import Order as CoreOrder
from core.types import OrderType, Rules, SelfTradePrevention, Side, Status, TimeInForce
from markets.services import known_market
from matching.models import OrderBook, new_token
from orders.models import Order
from orders.representation import OrderInfo
from orders.services import resting_orders

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
    "spend_limit",
    "filled_quantity",
    "filled_notional",
    "frozen",
    "status",
    "sequence",
    "client_order_id",
    "correlation_id",
    "created_at",
)
logger = logging.getLogger(__name__)

_SELECT = (
    "SELECT market_id, token, next_sequence, unfinished_order_id, status, failures FROM order_books"
    " WHERE market_id = %s"
)


_RENEW = (
    "UPDATE order_books SET token = %s, next_sequence = %s, unfinished_order_id = %s, status = %s, failures = %s,"
    " updated_at = %s WHERE market_id = %s AND token = %s"
)


class BookRow(NamedTuple):
    """What the locked row said."""

    market_id: str
    token: str
    next_sequence: int
    unfinished_order_id: int | None
    status: str
    failures: int


def lock_book(symbol: str) -> BookRow:
    """Lock the book's row until the transaction ends."""
    row = _locked(symbol)
    if row is None:
        # The market's first order: whoever comes second waits for the row and finds it.
        OrderBook.objects.bulk_create([OrderBook(market_id=symbol)], ignore_conflicts=True)
        row = _locked(symbol)
        assert row is not None, symbol
    return row


def renew_book(row: BookRow, now: datetime) -> str:
    """Write the row's new state under a new token, and return that. Raises GuardFailed if the row's token is gone."""
    token = new_token()
    state = (row.next_sequence, row.unfinished_order_id, row.status, row.failures, stored_instant(now))
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, (token, *state, row.market_id, row.token))
        if cursor.rowcount != 1:
            raise GuardFailed(f"book {row.market_id} no longer carries the token {row.token}")
    return token


# Plain look-ups: to call an enumeration with a word takes five times as long, and each order needs five.
_SIDES = {str(side): side for side in Side}
_TYPES = {str(kind): kind for kind in OrderType}
_TIMES_IN_FORCE = {str(tif): tif for tif in TimeInForce}
_PREVENTIONS = {str(mode): mode for mode in SelfTradePrevention}
_STATUSES = {str(status): status for status in Status}


@dataclass(slots=True)
class _Cached:
    token: str
    market: Market


_markets: dict[str, _Cached] = {}


class BrokenBook(Exception):
    """The resting orders make no book. No order in the inbox has a part in that: the market must stop."""


def trusted(row: BookRow) -> Market:
    """The market of a locked row: from memory if it carries the row's token, else rebuilt from the resting orders."""
    cached = _markets.get(row.market_id)
    if cached is None or cached.token != row.token:
        return load(row)
    market = cached.market
    if (market.book.next_sequence, market.status) != (row.next_sequence, row.status):
        # The row is the truth, and no order is to blame: a batch that fails here would be halved for nothing.
        logger.error(
            "the book of %s in memory is at %d %s and its row at %d %s: it is read again",
            *(row.market_id, market.book.next_sequence, market.status, row.next_sequence, row.status),
        )
        return load(row)
    return market


def load(row: BookRow | OrderBook) -> Market:
    """Rebuild a market from the database. Raises BrokenBook where its rows contradict each other."""
    # Django builds the statement; its conversion of each value to a Decimal and back would take most of the time.
    query = resting_orders(row.market_id).order_by("sequence").values_list(*CORE_COLUMNS).query
    with connection.cursor() as cursor:
        cursor.execute(*query.sql_with_params())
        resting = cursor.fetchall()
    market_rules = rules(row.market_id)
    try:
        market = Market(market_rules, row.status, row.next_sequence, map(core_order, resting))
    except Exception as error:
        raise BrokenBook(f"{row.market_id}: {type(error).__name__}: {error}") from error
    newest = max((order.sequence or 0 for order in market.book.orders.values()), default=0)
    if newest >= row.next_sequence:
        raise BrokenBook(f"{row.market_id}: an order rests since event {newest}, the next one is {row.next_sequence}")
    return market


def remember(symbol: str, token: str, market: Market) -> None:
    """Keep what the committed row's token stands for. With ENGINE_BOOK_CACHE=off each batch reads its own."""
    if settings.ENGINE_BOOK_CACHE:
        _markets[symbol] = _Cached(token, market)


def forget(symbol: str) -> None:
    """Throw the market away: it may hold what was never committed."""
    _markets.pop(symbol, None)


def columns(table: str) -> str:
    """CORE_COLUMNS for a statement of our own, of the table under that name."""
    fields = [field for field in Order._meta.concrete_fields if field.attname in CORE_COLUMNS]
    names = {field.attname: field.column for field in fields}
    return ", ".join(f"{table}.{names[name]}" for name in CORE_COLUMNS)


def core_order(row: tuple[Any, ...]) -> CoreOrder:
    """A row of CORE_COLUMNS, as the database's driver gives it, as the core's order."""
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
        spend_limit,
        filled_quantity,
        filled_notional,
        frozen,
        status,
        sequence,
        client_order_id,
        correlation_id,
        created_at,
    ) = row
    return CoreOrder(
        id=order_id,
        user_id=user_id,
        side=_SIDES[side],
        type=_TYPES[kind],
        price=units_or_none(price),
        quantity=units_or_none(quantity),
        time_in_force=_TIMES_IN_FORCE[time_in_force],
        post_only=bool(post_only),
        self_trade_prevention=_PREVENTIONS[self_trade_prevention],
        maker_fee_rate=_rate(maker_fee_rate),
        taker_fee_rate=_rate(taker_fee_rate),
        spend_limit=units_or_none(spend_limit if quote_quantity is None else quote_quantity),
        filled=stored_units(filled_quantity),
        filled_notional=stored_units(filled_notional),
        frozen=stored_units(frozen),
        status=_STATUSES[status],
        sequence=sequence,
        info=OrderInfo(client_order_id, correlation_id, created_at.replace(tzinfo=UTC)),
    )


def rules(symbol: str) -> Rules:
    """What the core needs to know of the market; none of it ever changes."""
    market = known_market(symbol)
    return Rules(
        lot_size=to_units(market.lot_size),
        base_step=10 ** (DIGITS - market.base.scale),
        quote_step=10 ** (DIGITS - market.quote.scale),
        symbol=symbol,
        base=market.base_id,
        quote=market.quote_id,
    )


# A handful of rates serves all orders.
_rate = lru_cache(maxsize=256)(stored_units)


def _locked(symbol: str) -> BookRow | None:
    # SQLite locks no rows: there the transaction took the write lock when it began.
    lock = " FOR UPDATE" if connection.features.has_select_for_update else ""
    with connection.cursor() as cursor:
        cursor.execute(_SELECT + lock, (symbol,))
        found = cursor.fetchone()
    return BookRow(*found) if found else None
