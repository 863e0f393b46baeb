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
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.db import OperationalError, connection, transaction

from balances.services import Overdrawn
from base.storage.bulk import dialect
from base.storage.outages import is_outage, is_transient
from base.telemetry.metrics import DEADLOCK_RETRIES, ENGINE, INTERRUPTIONS, LOCK_WAIT, LOCKED
from commands import queue
from core.types import MarketStatus
from matching import books
from matching.background import run_in_background
from matching.books import BookRow, lock_book
from matching.failure import Bisection, give_up, halt
from matching.inbox import Row, is_waiting, read_inbox
from matching.prepare import Prepared, database_time, prepare, prepare_ahead
from matching.report import Run
from matching.settlement import clear_inbox, store

logger = logging.getLogger(__name__)

ATTEMPTS = 5
BACKOFF_SECONDS = 0.05


def drain(symbol: str) -> Run:
    """Apply the symbol's waiting commands until none is left or the time box is spent (then it rings again).

    Safe to call at any time, from any number of workers. Raises what the database raises when it cannot be reached.
    """
    queue.clear_bell(symbol)
    return _Drain(symbol).run()


class _Ahead(NamedTuple):
    """A batch that is being decided ahead, and the commands that it was given."""

    prepared: Future[Prepared | None]
    rows: list[Row]


class _Drain:
    """One matching run: batch after batch, each decided while the one before it is written."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.result = Run(symbol)
        self.deadline = time.monotonic() + settings.ENGINE_TIME_BOX_SECONDS
        # The last batch and the token that it wrote, and the batch decided ahead that counts on both.
        self.last: Prepared | None = None
        self.token = ""
        self.ahead: _Ahead | None = None
        self.published: Future[None] | None = None
        # The commands of the batch in hand, and what is known of those that failed.
        self.rows: list[Row] = []
        self.bisection = Bisection()
        self.is_halted = False

    def run(self) -> Run:
        try:
            while prepared := self._settle_next():
                self.published = run_in_background(prepared.publish)
                if time.monotonic() > self.deadline and self.ahead is None:
                    queue.ring(self.symbol)
                    break
        finally:
            if self.published is not None:
                wait([self.published])
        return self.result

    def _settle_next(self) -> Prepared | None:
        """One batch, done again from the start when it was interrupted; an outage never fails an order."""
        interruptions = 0
        while True:
            try:
                return self._settle_batch()
            except BaseException as error:
                # The book in memory may hold what was never committed.
                self._forget()
                connection.close_if_unusable_or_obsolete()
                if not isinstance(error, Exception):
                    raise
                interruptions += is_outage(error)
                if interruptions == ATTEMPTS:
                    raise
                given_up = self._try_again(error, interruptions)
            if given_up is not None:
                return given_up

    def _settle_batch(self) -> Prepared | None:
        self.rows = []
        if self.ahead is not None:
            # Not under the lock: it may have to wait for a telling, and that for Redis.
            wait([self.ahead.prepared])
        elif not is_waiting(self.symbol):
            # Looked at without the lock: most bells that find nothing must not wait for the one that works.
            return None
        asked_at = time.monotonic()
        with transaction.atomic(durable=True):
            row = lock_book(self.symbol)
            locked_at = time.monotonic()
            LOCK_WAIT.labels(self.symbol).observe(locked_at - asked_at)
            self.is_halted = row.status == MarketStatus.HALTED
            now = database_time()
            prepared = self._decided_ahead(row) or self._decided_now(row, now)
            if prepared is None:
                return None
            clear_inbox(prepared.batch.done)
            self._look_ahead(prepared, now, locked_at)
            token = store(row, prepared.settlement)
        locked_seconds = time.monotonic() - locked_at
        LOCKED.labels(self.symbol).observe(locked_seconds)
        self.result.add(prepared.batch, locked_seconds)
        self.bisection.settled(len(prepared.batch.done))
        # Only now does the memory stand for what is stored. A book that is being decided upon further does not.
        self.last, self.token = prepared, token
        if self.ahead is None:
            books.remember(self.symbol, token, prepared.market)
        return prepared

    def _decided_ahead(self, row: BookRow) -> Prepared | None:
        """The batch decided ahead, if what it was decided upon still holds."""
        if self.ahead is None:
            return None
        (future, self.rows), self.ahead = self.ahead, None
        prepared = future.result()
        if prepared is None:
            # Nothing was decided: the book is as the last batch left it.
            assert self.last is not None
            books.remember(self.symbol, self.token, self.last.market)
        elif row.token == self.token:
            return prepared
        return None

    def _decided_now(self, row: BookRow, now: datetime) -> Prepared | None:
        limit = self.bisection.limit(settings.ENGINE_BATCH_SIZE)
        self.rows = read_inbox(self.symbol, limit, row.unfinished_order_id)
        return prepare(row, self.rows, now) if self.rows else None

    def _look_ahead(self, prepared: Prepared, now: datetime, read_at: float) -> None:
        """Have the next batch decided while this one is written, if this one was full.

        Not after a taker that is not finished, which goes on with its money as it is stored, and not while a command is
        looked for that fails. `now` was the database's time no earlier than the monotonic instant `read_at`.
        """
        if not prepared.is_full or not settings.ENGINE_BOOK_CACHE or self.bisection.candidates:
            return
        if time.monotonic() > self.deadline:
            return
        rows = read_inbox(self.symbol, settings.ENGINE_BATCH_SIZE)
        if rows:
            # From here on it stands for no token that was ever stored.
            books.forget(self.symbol)
            self.ahead = _Ahead(run_in_background(prepare_ahead, prepared, rows, now, read_at, dialect()), rows)

    def _forget(self) -> None:
        books.forget(self.symbol)
        ahead, self.ahead, self.last = self.ahead, None, None
        if ahead is not None:
            # It still changes the book that is thrown away.
            wait([ahead.prepared])

    def _try_again(self, error: Exception, interruptions: int) -> Prepared | None:
        """Wait for an outage to pass; of a batch that fails by itself find the command that does it, and give it up."""
        if is_outage(error):
            is_deadlock = isinstance(error, OperationalError) and is_transient(error)
            (DEADLOCK_RETRIES.labels(ENGINE) if is_deadlock else INTERRUPTIONS.labels(self.symbol)).inc()
            logger.warning("batch of %s interrupted (attempt %d): %s", self.symbol, interruptions, error)
            time.sleep(BACKOFF_SECONDS * interruptions)
            return None
        if isinstance(error, books.BrokenBook):
            halt(self.symbol, error)
        if isinstance(error, books.BrokenBook) or not self.rows:
            raise error
        self.bisection.failed([row[0] for row in self.rows])
        logger.warning("batch of %s failed with %d commands: %r", self.symbol, len(self.rows), error)
        if len(self.rows) > 1:
            return None
        # A market that is halted already may be broken for long, and others wait for this worker.
        pauses = [] if self.is_halted else settings.ENGINE_RETRY_MS
        if self.bisection.attempts <= len(pauses):
            time.sleep(pauses[self.bisection.attempts - 1] / 1000)
            return None
        return self._give_up(error)

    def _give_up(self, error: Exception) -> Prepared | None:
        command_id, attempts = self.rows[0][0], self.bisection.attempts
        self.bisection.settled(1)
        if isinstance(error, Overdrawn) and not self.is_halted:
            # No order's fault: what is stored contradicts itself. Once halted, orders are refused, each by itself.
            halt(self.symbol, error)
            raise error
        try:
            given_up = give_up(self.symbol, command_id, error, attempts)
        except Exception as worse:
            if not is_outage(worse):
                # Not even its funds can be released.
                halt(self.symbol, worse)
            raise
        if given_up is not None:
            self.result.commands += 1
            self.result.show(given_up.batch)
        return given_up
