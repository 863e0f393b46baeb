"""A batch decided and made ready to be written: at once, under the book's lock, or ahead, in the other thread."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from django.conf import settings
from django.db import connection

from balances.services import lock_balances
from base.storage.bulk import Dialect, dialect
from base.streams import Message
from core.book import Book
from marketdata.feed import market_messages
from markets.models import Market
from markets.services import find_market
from matching import books
from matching.batch import Batch
from matching.books import BookRow
from matching.decide import decide, market_buyers
from matching.inbox import Row, parse_commands
from matching.report import count
from matching.settlement import Settlement, write_settlement
from orders.feed import publish_updates
from orders.log import orders_applied
from orders.telling import from_engine

_CLOCK = {"mysql": "SELECT CURRENT_TIMESTAMP(6)", "sqlite": "SELECT STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')"}


@dataclass(frozen=True)
class Prepared:
    """A batch that is decided and ready to be written, and what it will tell the public."""

    book: Book
    settlement: Settlement
    is_full: bool
    public: list[Message]

    @property
    def batch(self) -> Batch:
        return self.settlement.batch

    def tell(self) -> None:
        """To the log and to the streams, after the commit."""
        batch, now = self.batch, self.settlement.now
        # First, and so in the order in which it happened: what the streams say to their clients comes after it.
        orders_applied(batch.market.symbol, batch.events)
        publish_updates((from_engine(batch.market.symbol, event, now) for event in batch.events), ahead=self.public)
        count(batch)


def prepare(row: BookRow, rows: Sequence[Row], now: datetime) -> Prepared:
    """Decide on what was read from the inbox, under the book's lock."""
    book = books.trusted(row)
    commands = parse_commands(rows)
    market = known_market(row.market_id)
    buyers = lock_balances((user_id, market.quote_id) for user_id in market_buyers(commands))
    batch = decide(
        market,
        book,
        commands,
        spendable={user_id: held.available for (user_id, _), held in buyers.items()},
        status=row.status,
        most_fills=settings.ENGINE_FILLS_PER_TRANSACTION,
    )
    return _prepared(batch, book, len(commands), now, dialect())


def prepare_ahead(
    before: Prepared, rows: Sequence[Row], read: datetime, read_at: float, to: Dialect
) -> Prepared | None:
    """The next batch, in the other thread. `read` was the database's time no earlier than at `read_at`, of this clock.

    It ends before the first market buyer, whose funds must be locked before anything is decided; None if it is empty.
    """
    commands = list(takewhile(lambda command: not market_buyers([command]), parse_commands(rows)))
    if not commands:
        return None
    # Never before the batch before, whose time may have been reckoned so too: a market's events do not go back in time.
    now = max(before.settlement.now, read + timedelta(seconds=time.monotonic() - read_at))
    batch = decide(
        before.batch.market,
        before.book,
        commands,
        spendable={},
        status=before.batch.status,
        most_fills=settings.ENGINE_FILLS_PER_TRANSACTION,
    )
    return _prepared(batch, before.book, len(commands), now, to)


def known_market(symbol: str) -> Market:
    """From memory: what matching needs of a market, but for its status, never changes."""
    market = find_market(symbol)
    assert market is not None, symbol
    return market


def database_time() -> datetime:
    """The database's clock, on which workers on several hosts agree.

    Asked after the lock: the statement that waits for it carries the time at which it began to wait.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CLOCK[connection.vendor])
        (now,) = cursor.fetchone()
    # SQLite's clock is a text.
    return datetime.fromisoformat(str(now)).replace(tzinfo=UTC)


def _prepared(batch: Batch, book: Book, commands: int, now: datetime, to: Dialect) -> Prepared:
    settlement = write_settlement(batch, book.next_sequence, now, to)
    is_full = commands == settings.ENGINE_BATCH_SIZE and batch.unfinished_order_id is None
    return Prepared(book, settlement, is_full, market_messages(batch, book, now))
