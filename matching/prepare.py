"""A batch decided and made ready to be written: at once, under the book's lock, or ahead, in the other thread."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from django.conf import settings
from django.db import connection

from balances.services import lock_balances
from base.storage.bulk import Dialect, dialect
from base.streams import Message
from core.market import Batch, Market, market_buyers
from core.types import PendingCommand
from marketdata.feed import market_messages
from matching import books
from matching.books import BookRow
from matching.inbox import Row, parse_commands
from matching.report import count
from matching.settlement import Settlement, write_settlement
from orders.feed import publish_updates
from orders.log import orders_applied
from orders.representation import from_engine

logger = logging.getLogger(__name__)

_CLOCK = {"mysql": "SELECT CURRENT_TIMESTAMP(6)", "sqlite": "SELECT STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')"}


@dataclass(frozen=True)
class Prepared:
    """A batch that is decided and ready to be written, and its messages for the public streams."""

    market: Market
    settlement: Settlement
    is_full: bool
    public: list[Message]

    @property
    def batch(self) -> Batch:
        return self.settlement.batch

    def publish(self) -> None:
        """To the log, the streams and the counters, after the commit. Never raises: a defect in one leaves the others.

        The log first, and so in the order in which it happened: what the streams log of their clients comes after it.
        """
        batch, now = self.batch, self.settlement.now
        symbol = batch.rules.symbol
        steps: tuple[Callable[[], None], ...] = (
            lambda: orders_applied(symbol, batch.events),
            lambda: publish_updates((from_engine(symbol, event, now) for event in batch.events), ahead=self.public),
            lambda: count(batch),
        )
        for step in steps:
            try:
                step()
            except Exception:
                logger.exception("a batch of %s was not published in full", symbol)


def prepare(row: BookRow, rows: Sequence[Row], now: datetime) -> Prepared:
    """Decide on what was read from the inbox, under the book's lock."""
    market = books.trusted(row)
    commands = parse_commands(rows)
    buyers = lock_balances((user_id, market.rules.quote) for user_id in market_buyers(commands))
    spendable = {user_id: held.available for (user_id, _), held in buyers.items()}
    return _prepared(market, commands, spendable, now, dialect())


def prepare_ahead(
    before: Prepared, rows: Sequence[Row], read: datetime, read_at: float, to: Dialect
) -> Prepared | None:
    """The next batch, in the other thread. `read` was the database's time no earlier than at `read_at`, of this clock.

    It ends before the first market buyer, whose funds must be locked before anything is decided; None if it is empty.
    """
    commands = list(takewhile(lambda command: not market_buyers([command]), parse_commands(rows)))
    if not commands:
        return None
    # Never before the batch before, whose time may have been computed so too: a market's events do not go back in time.
    now = max(before.settlement.now, read + timedelta(seconds=time.monotonic() - read_at))
    return _prepared(before.market, commands, {}, now, to)


def database_time() -> datetime:
    """The database's clock, on which workers on several hosts agree.

    Asked after the lock: the statement that waits for it carries the time at which it began to wait.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CLOCK[connection.vendor])
        (now,) = cursor.fetchone()
    # SQLite's clock is a text.
    return datetime.fromisoformat(str(now)).replace(tzinfo=UTC)


def _prepared(
    market: Market, commands: Sequence[PendingCommand], spendable: Mapping[int, int], now: datetime, to: Dialect
) -> Prepared:
    batch = market.decide(commands, spendable=spendable, most_fills=settings.ENGINE_FILLS_PER_TRANSACTION)
    settlement = write_settlement(batch, market.book.next_sequence, now, to)
    is_full = len(commands) == settings.ENGINE_BATCH_SIZE and batch.unfinished_order_id is None
    return Prepared(market, settlement, is_full, market_messages(market.book, batch.events, batch.trades, now))
