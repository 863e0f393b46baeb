"""Match one market: lock its book's row, read the inbox, decide, settle; and tell after the commit.

Lock order: the book's row, then balances by (user, currency). Placing an order locks one balance and waits for no book,
so the two never form a circle. Two markets that share users may deadlock over balances: the batch is then done again.

Why each step is where it is:
- The book's row is locked by the transaction's first statement, under READ COMMITTED: a snapshot taken before the lock
  would show orders as they were, and match them a second time.
- The inbox is read without locks: the row's lock already makes this worker alone, and intake must not wait for it.
- The book in memory is used only while it carries the row's token, and is forgotten on any error.
- While a full batch is being written the next one is decided ahead, in another thread. It is written in a transaction
  of its own, which first proves that nothing moved: the row still carries the token that the batch before it wrote.
"""

import logging
import time
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from django.conf import settings
from django.db import OperationalError, connection, transaction

from balances.services import lock_balances
from exchange.bulk import Dialect, dialect
from exchange.streams import Message
from markets.models import MarketStatus
from markets.services import find_market
from matching import books, queue
from matching.aside import do_aside
from matching.batch import Batch
from matching.bookrow import BookRow, lock_book
from matching.core.book import Book
from matching.decision import decide, market_buyers
from matching.inbox import Row, is_waiting, read_inbox, unpack
from matching.settlement import Settlement, clear_inbox, store, write_settlement
from matching.stream import market_messages
from orders.stream import publish_steps
from orders.telling import engine_step

logger = logging.getLogger(__name__)

ATTEMPTS = 5
BACKOFF_SECONDS = 0.05
_CLOCK = {"mysql": "CURRENT_TIMESTAMP(6)", "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')"}


@dataclass
class Run:
    """What one matching run did; the Celery task's result."""

    symbol: str
    commands: int = 0
    trades: int = 0
    batches: int = 0
    # How long the book's row was locked at the longest.
    longest_ms: float = 0

    def add(self, batch: Batch, locked_seconds: float) -> None:
        self.commands += len(batch.done)
        self.trades += len(batch.trades)
        self.batches += 1
        self.longest_ms = max(self.longest_ms, round(locked_seconds * 1000, 1))


def drain(symbol: str) -> Run:
    """Apply the symbol's waiting commands until none is left or the time box is spent (then it rings again).

    Safe to call at any time, from any number of workers. Raises what the database raises when it cannot be reached.
    """
    queue.silence(symbol)
    return _Drain(symbol).run()


@dataclass(frozen=True)
class _Prepared:
    """A batch that is decided and ready to be written, and what it will tell the public."""

    book: Book
    settlement: Settlement
    is_full: bool
    public: list[Message]

    @property
    def batch(self) -> Batch:
        return self.settlement.batch

    def tell(self) -> None:
        batch, now = self.batch, self.settlement.now
        publish_steps((engine_step(batch.market.symbol, event, now) for event in batch.events), ahead=self.public)


class _Drain:
    """One matching run: batch after batch, each decided while the one before it is written."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.result = Run(symbol)
        self.deadline = time.monotonic() + settings.ENGINE_TIME_BOX_SECONDS
        # The last batch and the token that it wrote, and the batch decided ahead that counts on both.
        self.last: _Prepared | None = None
        self.token = ""
        self.ahead: Future[_Prepared | None] | None = None
        self.told: Future[None] | None = None

    def run(self) -> Run:
        try:
            while prepared := self._settle_next():
                self.told = do_aside(prepared.tell)
                if time.monotonic() > self.deadline and self.ahead is None:
                    queue.ring(self.symbol)
                    break
        finally:
            if self.told is not None:
                wait([self.told])
        return self.result

    def _settle_next(self) -> _Prepared | None:
        """One batch, done again from the start when the database interrupted it; an outage never fails an order."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._settle_batch()
            except BaseException as error:
                # The book in memory may hold what was never committed.
                self._forget()
                connection.close_if_unusable_or_obsolete()
                if not isinstance(error, OperationalError) or attempt == ATTEMPTS:
                    raise
                logger.warning("batch of %s interrupted (attempt %d): %s", self.symbol, attempt, error)
                time.sleep(BACKOFF_SECONDS * attempt)

    def _settle_batch(self) -> _Prepared | None:
        if self.ahead is not None:
            # Not under the lock: it may have to wait for a telling, and that for Redis.
            wait([self.ahead])
        elif not is_waiting(self.symbol):
            # Looked at without the lock: most bells that find nothing must not wait for the one that works.
            return None
        with transaction.atomic(durable=True):
            row = lock_book(self.symbol)
            locked_at = time.monotonic()
            is_trading, now = _status(self.symbol)
            prepared = self._decided_ahead(row, is_trading) or _decide_now(row, is_trading, now)
            if prepared is None:
                return None
            clear_inbox(prepared.batch.done)
            self._look_ahead(prepared, now, locked_at)
            token = store(row, prepared.settlement)
        self.result.add(prepared.batch, time.monotonic() - locked_at)
        # Only now does the memory stand for what is stored. A book that is being decided upon further does not.
        self.last, self.token = prepared, token
        if self.ahead is None:
            books.remember(self.symbol, token, prepared.book)
        return prepared

    def _decided_ahead(self, row: BookRow, is_trading: bool) -> _Prepared | None:
        """The batch decided ahead, if what it was decided upon still holds."""
        if self.ahead is None:
            return None
        prepared, self.ahead = self.ahead.result(), None
        if prepared is None:
            # Nothing was decided: the book is as the last batch left it.
            assert self.last is not None
            books.remember(self.symbol, self.token, self.last.book)
        elif row.token == self.token and is_trading == prepared.batch.is_trading:
            return prepared
        return None

    def _look_ahead(self, prepared: _Prepared, now: datetime, read_at: float) -> None:
        """Have the next batch decided while this one is written, if this one was full.

        Not after a taker that is not finished, which goes on with its money as it is stored. `now` was the database's
        time no earlier than the monotonic instant `read_at`.
        """
        if not prepared.is_full or not settings.ENGINE_BOOK_CACHE or time.monotonic() > self.deadline:
            return
        rows = read_inbox(self.symbol, settings.ENGINE_BATCH_SIZE)
        if rows:
            # From here on it stands for no token that was ever stored.
            books.forget(self.symbol)
            self.ahead = do_aside(_prepare_ahead, prepared, rows, now, read_at, dialect())

    def _forget(self) -> None:
        books.forget(self.symbol)
        ahead, self.ahead, self.last = self.ahead, None, None
        if ahead is not None:
            # It still changes the book that is thrown away.
            wait([ahead])


def _decide_now(row: BookRow, is_trading: bool, now: datetime) -> _Prepared | None:
    book = books.trusted(row)
    commands = unpack(read_inbox(row.market_id, settings.ENGINE_BATCH_SIZE, row.unfinished_order_id))
    if not commands:
        books.remember(row.market_id, row.token, book)
        return None
    # From memory: what matching needs of a market, but for its status, never changes.
    market = find_market(row.market_id)
    assert market is not None, row.market_id
    buyers = lock_balances((user_id, market.quote_id) for user_id in market_buyers(commands))
    spendable = {user_id: held.available for (user_id, _), held in buyers.items()}
    batch = decide(
        market,
        book,
        commands,
        spendable=spendable,
        is_trading=is_trading,
        most_fills=settings.ENGINE_FILLS_PER_TRANSACTION,
        resumed_order_id=row.unfinished_order_id,
    )
    return _prepare(batch, book, len(commands), now, dialect())


def _prepare_ahead(before: _Prepared, rows: list[Row], read: datetime, read_at: float, to: Dialect) -> _Prepared | None:
    """The next batch, in the other thread. `read` was the database's time no earlier than at `read_at`, of this clock.

    It ends before the first market buyer, whose funds must be locked before anything is decided; None if it is empty.
    """
    commands = list(takewhile(lambda command: not market_buyers([command]), unpack(rows)))
    if not commands:
        return None
    # Never before the batch before, whose time may have been reckoned so too: a market's events do not go back in time.
    now = max(before.settlement.now, read + timedelta(seconds=time.monotonic() - read_at))
    batch = decide(
        before.batch.market,
        before.book,
        commands,
        spendable={},
        is_trading=before.batch.is_trading,
        most_fills=settings.ENGINE_FILLS_PER_TRANSACTION,
    )
    return _prepare(batch, before.book, len(commands), now, to)


def _prepare(batch: Batch, book: Book, commands: int, now: datetime, to: Dialect) -> _Prepared:
    settlement = write_settlement(batch, book.next_sequence, now, to)
    is_full = commands == settings.ENGINE_BATCH_SIZE and batch.unfinished_order_id is None
    return _Prepared(book, settlement, is_full, market_messages(batch, book, now))


def _status(symbol: str) -> tuple[bool, datetime]:
    """Whether the market takes new orders, and the database's clock, on which workers on several hosts agree.

    Asked after the lock: the statement that waits for it carries the time at which it began to wait.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT status, {_CLOCK[connection.vendor]} FROM markets WHERE symbol = %s", (symbol,))  # noqa: S608
        status, now = cursor.fetchone()
    # SQLite's clock is a text.
    return status == MarketStatus.TRADING, datetime.fromisoformat(str(now)).replace(tzinfo=UTC)
