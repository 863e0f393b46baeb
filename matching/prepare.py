"""Decide a batch and prepare its statements: under the book's lock, or ahead, in the background thread."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from django.conf import settings

from balances.services import lock_balances
from base.storage.literals import Dialect, dialect
from base.streams import Message
from base.streams.amqp import publish_amqp
from core.batch import Account, Batch
from core.market import IS_OVER, Market, spenders
from core.types import CommandKind, PendingCommand
from marketdata import depth_cache
from marketdata.depth import Depth, take_depth
from marketdata.feed import market_messages
from matching import books, feed
from matching.books import BookRow
from matching.inbox import Row, parse_commands
from matching.report import count
from matching.settlement import Settlement, write_settlement
from orders.feed import publish_updates
from orders.log import orders_applied
from orders.representation import from_engine

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A batch that is decided and ready to be written, with what the public sees of it.

    The depth is taken here, because the next batch may change the book before this one is published. None where no
    depth is kept.
    """

    market: Market
    settlement: Settlement
    is_full: bool
    public: list[Message]
    depth: Depth | None = None

    @property
    def batch(self) -> Batch:
        return self.settlement.batch

    def publish(self, token: str) -> None:
        """Log, publish and count the batch, after the commit. Never raises: a defect in one step leaves the others.

        `token` is what the batch wrote into the book's row.

        The log lines come first, so that they stand before those of the streams, which log what they send.
        """
        batch = self.batch
        symbol = batch.rules.symbol
        steps: tuple[Callable[[], None], ...] = (
            lambda: orders_applied(symbol, batch.events),
            lambda: self._send(token),
            lambda: count(batch),
        )
        for step in steps:
            try:
                step()
            except Exception:
                logger.exception("a batch of %s was not published in full", symbol)

    def _send(self, token: str) -> None:
        symbol, now = self.batch.rules.symbol, self.settlement.now
        writes = [] if self.depth is None else [depth_cache.write_after_commit(symbol, self.depth, token)]
        # Made one by one as they are written, so not at all while Redis is away; the feed needs all of them at once.
        updates: Iterable[Message] = (from_engine(self.batch.rules, event, now) for event in self.batch.events)
        entries = {}
        if settings.FEED:
            updates = list(updates)
            entries = feed.entries_of(self.batch, updates, now)
        publish_updates(updates, ahead=self.public, writes=[*writes, *feed.writes_of(symbol, entries)])
        if entries and not settings.IS_REDIS_BROKER:
            publish_amqp(settings.BROKER_URL, feed.amqp_messages(symbol, entries))


def prepare(row: BookRow, rows: Sequence[Row], *, has_more: bool = True, fires: bool = True) -> Prepared:
    """Decide the commands of these rows, under the book's lock.

    `has_more`: others may wait. `fires`: what is triggered may fire at once, where that needs no lock of funds.
    """
    market = books.trusted(row)
    commands = parse_commands(rows, row.unfinished_command_id)
    held = lock_balances(spenders(commands, market.rules))
    spendable = {account: balance.available for account, balance in held.items()}
    return _prepared(market, commands, spendable, row.now, dialect(), has_more=has_more, fires=fires)


def prepare_ahead(
    before: Prepared, rows: Sequence[Row], read: datetime, read_at: float, to: Dialect
) -> Prepared | None:
    """Decide the next batch, in the background thread. None if it is empty.

    `read` is the database's time, read just before the monotonic instant `read_at`. The batch ends before the first
    command that available funds decide, because these must be locked before.
    """
    rules = before.market.rules
    commands = list(takewhile(lambda command: not spenders([command], rules), parse_commands(rows)))
    if not commands:
        return None
    # At least the time of the batch before, because the times of a market's events never go back.
    now = max(before.settlement.now, read + timedelta(seconds=time.monotonic() - read_at))
    return _prepared(before.market, commands, {}, now, to)


def _prepared(
    market: Market,
    commands: Sequence[PendingCommand],
    spendable: Mapping[Account, int],
    now: datetime,
    to: Dialect,
    **limits: bool,
) -> Prepared:
    commands = [_in_time(each, now) for each in commands]
    batch = market.decide(commands, spendable=spendable, most_fills=settings.ENGINE_FILLS_PER_TRANSACTION, **limits)
    settlement = write_settlement(batch, market.book.next_sequence, now, to)
    is_full = len(commands) == settings.ENGINE_BATCH_SIZE and not batch.is_unfinished
    public = market_messages(*(market.book, batch.events, batch.trades, now), has_new_status=bool(batch.status_changes))
    levels = settings.DEPTH_CACHE_LEVELS
    return Prepared(market, settlement, is_full, public, take_depth(market.book, levels) if levels else None)


_BRINGING = (CommandKind.NEW, CommandKind.REPLACE)


def _in_time(command: PendingCommand, now: datetime) -> PendingCommand:
    """The command; in place of that of a new order whose time is over already one that closes it, and one that replaces
    another all the same says so.

    The core reads no clock.
    """
    order = command.order
    if order is None or order.expires_at is None or command.kind not in _BRINGING or command.goes_on:
        return command
    assert isinstance(order.expires_at, datetime), order
    if now < order.expires_at:
        return command
    if command.kind == CommandKind.REPLACE:
        return command._replace(data={**(command.data or {}), IS_OVER: True})
    return command._replace(kind=CommandKind.EXPIRE)
