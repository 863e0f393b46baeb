"""Books in memory, used only while they carry the token of the locked row.

They are a cache: the worker throws a book away on any error, and rebuilds it from the resting orders when its token is
not the row's.
"""

import logging
import secrets
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import NamedTuple

from django.conf import settings
from django.db import DatabaseError, connection

from base.storage.bulk import write_updates
from base.storage.clock import CLOCK, clock_time
from base.storage.literals import dialect
from base.storage.statements import GuardFailed, Write, read_rows
from core.market import Market
from core.money import DIGITS, stored_units, to_units
from core.types import MarketStatus, Rules
from markets.services import known_market
from matching import collector
from matching.models import TOKEN_BYTES, OrderBook
from matching.order_rows import CORE_COLUMNS, FORM, core_order
from matching.snapshots.restoring import build_market, restore
from matching.stops import load_stops
from orders.resting import resting_orders

logger = logging.getLogger(__name__)

_SELECT = (
    "SELECT market_id, token, next_sequence, unfinished_order_id, unfinished_command_id, is_cascading, status, failures"
    " FROM order_books WHERE market_id = %s"
)

_STATE = (
    "token",
    "next_sequence",
    "unfinished_order_id",
    "unfinished_command_id",
    "is_cascading",
    "status",
    "failures",
    "updated_at",
)

_LAST_TRADE = "SELECT price, sequence FROM trades WHERE market_id = %s ORDER BY sequence DESC LIMIT 1"


class BookRow(NamedTuple):
    """The locked row as it was read."""

    market_id: str
    token: str
    next_sequence: int
    unfinished_order_id: int | None
    unfinished_command_id: int | None
    is_cascading: bool
    status: str
    failures: int
    # The time of the database's clock after the lock.
    now: datetime

    @property
    def is_unfinished(self) -> bool:
        """Whether something goes on before any other command."""
        return self.unfinished_order_id is not None or self.unfinished_command_id is not None or bool(self.is_cascading)


def lock_book(symbol: str) -> BookRow:
    """Lock the book's row until the transaction ends."""
    row = _locked(symbol)
    if row is None:
        # The market's first order. Of two workers here the second waits for the row of the first, and then reads it.
        OrderBook.objects.bulk_create([OrderBook(market_id=symbol)], ignore_conflicts=True)
        row = _locked(symbol)
        assert row is not None, symbol
    return row


def write_renewal(row: BookRow, now: datetime) -> tuple[str, Write]:
    """A new token, and the row's new state with it. It raises GuardFailed if the row has another token by then."""
    token = secrets.token_hex(TOKEN_BYTES)
    statement = write_updates(
        dialect(),
        OrderBook,
        key="market",
        guards=("token",),
        fields=_STATE,
        rows=[(row.market_id, row.token, token, *row[2:8], now)],
    )
    return token, Write(statement, partial(_check_token, row))


def _check_token(row: BookRow, matched: int) -> None:
    if matched != 1:
        raise GuardFailed(f"book {row.market_id} no longer carries the token {row.token}")


@dataclass(slots=True)
class _Cached:
    token: str
    market: Market


_markets: dict[str, _Cached] = {}


class BrokenBook(Exception):
    """The stored rows of a market make no book. No order in the inbox is the cause, so the market must be halted."""


def trusted(row: BookRow) -> Market:
    """The market of a locked row: from memory if it carries the row's token, else rebuilt from the resting orders."""
    cached = _markets.get(row.market_id)
    if cached is None or cached.token != row.token:
        return load(row)
    market = cached.market
    if (market.book.next_sequence, market.status) != (row.next_sequence, row.status):
        # The row is the truth. Without this check the batch would fail on a guard, and be halved though no command is
        # the cause.
        logger.error(
            "the book of %s in memory is at %d %s and its row at %d %s: it is read again",
            *(row.market_id, market.book.next_sequence, market.status, row.next_sequence, row.status),
        )
        return load(row)
    return market


def load(row: BookRow | OrderBook) -> Market:
    """Build a market from its newest snapshot or, without one, from its rows. Raises BrokenBook."""
    with collector.paused():
        market = load_snapshot(row) or load_rows(row)
        _load_stops(market, row)
        return market


def _load_stops(market: Market, row: BookRow | OrderBook) -> None:
    market.is_unfinished = row.unfinished_order_id is not None or row.unfinished_command_id is not None
    try:
        load_stops(market)
    except DatabaseError:
        raise
    except Exception as error:
        raise BrokenBook(f"{row.market_id}: {type(error).__name__}: {error}") from error


def load_snapshot(row: BookRow | OrderBook) -> Market | None:
    """The market from its newest snapshot; None without one that fits the row."""
    return restore(row.market_id, partial(restore_snapshot, row)) if settings.SNAPSHOT_ORDERS else None


def restore_snapshot(row: BookRow | OrderBook) -> Market | None:
    """The same. Raises where the snapshot contradicts the rows."""
    symbol = row.market_id
    price, trade = last_trade(symbol)
    stands = partial(Market, rules(symbol), row.status, row.next_sequence, last_price=price, last_trade=trade)
    build = partial(stands, is_uncrossing=_is_uncrossing(row))
    return build_market(symbol, row.next_sequence, FORM, build)


def load_rows(row: BookRow | OrderBook) -> Market:
    """The market from its resting orders. Raises BrokenBook where the rows contradict each other."""
    # Django builds the statement, and the driver gives the values: Django's conversion of each amount to a Decimal
    # would take most of the time.
    query = resting_orders(row.market_id).order_by("sequence").values_list(*CORE_COLUMNS).query
    with connection.cursor() as cursor:
        cursor.execute(*query.sql_with_params())
        resting = cursor.fetchall()
    (price, trade), market_rules = last_trade(row.market_id), rules(row.market_id)
    try:
        orders = map(core_order, resting)
        market = Market(
            *(market_rules, row.status, row.next_sequence, orders, price),
            last_trade=trade,
            is_uncrossing=_is_uncrossing(row),
        )
    except Exception as error:
        raise BrokenBook(f"{row.market_id}: {type(error).__name__}: {error}") from error
    newest = max((order.place for order in market.book.orders.values()), default=0)
    if newest >= row.next_sequence:
        raise BrokenBook(f"{row.market_id}: an order rests since event {newest}, the next one is {row.next_sequence}")
    return market


def _is_uncrossing(row: BookRow | OrderBook) -> bool:
    """Whether a change to TRADING is unfinished: the one command without an order that goes on, but for a delisting."""
    is_without_order = row.unfinished_command_id is not None and row.unfinished_order_id is None
    return is_without_order and row.status != MarketStatus.DELISTED


def last_trade(symbol: str) -> tuple[int | None, int]:
    """The price and the sequence of the last trade; None and 0 before the first."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST_TRADE, (symbol,))
        found = cursor.fetchone()
    return (stored_units(found[0]), found[1]) if found else (None, 0)


def remember(symbol: str, token: str, market: Market) -> None:
    """Keep the market that belongs to the committed row's token. With ENGINE_BOOK_CACHE=off each batch rebuilds it."""
    if settings.ENGINE_BOOK_CACHE:
        _markets[symbol] = _Cached(token, market)


def forget(symbol: str) -> None:
    """Throw the market away, because it may hold changes that were never committed."""
    _markets.pop(symbol, None)


def rules(symbol: str) -> Rules:
    """The rules of the market for the core. They never change."""
    market = known_market(symbol)
    return Rules(
        lot_size=to_units(market.lot_size),
        base_step=10 ** (DIGITS - market.base.scale),
        quote_step=10 ** (DIGITS - market.quote.scale),
        symbol=symbol,
        base=market.base_id,
        quote=market.quote_id,
        tick_size=to_units(market.tick_size),
    )


def _locked(symbol: str) -> BookRow | None:
    # SQLite locks no rows: there a transaction takes the lock of the whole database when it begins.
    lock = " FOR UPDATE" if connection.features.has_select_for_update else ""
    found, clock = read_rows((_SELECT + lock, (symbol,)), (CLOCK[connection.vendor], ()))
    assert clock is not None
    return BookRow._make((*found, clock_time(clock))) if found else None
