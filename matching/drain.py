"""Match one market: lock its book's row, read the inbox, decide, settle, and publish after the commit.

Lock order: the book's row, then balances by (user, currency). Intake locks balances and never a book, so the two cannot
wait for each other. Two markets that share users may deadlock over balances: the batch is then done again.

Why each step is where it is:
- The transaction's first statement locks the book's row, under READ COMMITTED. A snapshot from before the lock would
  show orders as they were before another worker's commit, and they would be matched a second time.
- The inbox is read without locks: the lock of the row already keeps other workers out, and intake must not wait.
- The book in memory is used only while it carries the row's token, and is thrown away on any error.
- While a full batch is being written, the background thread decides the next one ahead. The transaction that writes it
  first compares tokens: the row must still carry the token that the batch before it wrote.
"""

import contextvars
import functools
import logging
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime
from typing import NamedTuple, ParamSpec, TypeVar

from django.conf import settings
from django.db import OperationalError, connection, transaction

from balances.settling import Overdrawn
from base.storage.literals import dialect
from base.storage.outages import is_outage, is_transient
from base.telemetry.metrics import DEADLOCK_RETRIES, ENGINE, INTERRUPTIONS, LOCK_WAIT, LOCKED
from commands import queue
from core.types import MarketStatus
from matching import books, collector
from matching.bisection import Bisection
from matching.books import BookRow, lock_book
from matching.failure import give_up, halt
from matching.inbox import Row, is_waiting, read_inbox
from matching.prepare import Prepared, prepare, prepare_ahead
from matching.report import Run
from matching.settlement import clear_inbox, store
from matching.snapshots.restoring import UnreadableSnapshot

logger = logging.getLogger(__name__)

ATTEMPTS = 5
BACKOFF_SECONDS = 0.05


def drain(symbol: str) -> Run:
    """Apply the symbol's commands until the inbox is empty, or the time box is over (then it rings the next run).

    Safe to call at any time, from any number of workers. Raises the database's error when the database is away.
    """
    queue.clear_bell(symbol)
    collector.look_rarely()
    try:
        return _Drain(symbol).run()
    finally:
        collector.leave_books_out()


class _NextBatch(NamedTuple):
    """A batch that is being decided ahead, and the rows of its commands."""

    prepared: Future[Prepared | None]
    rows: list[Row]


class _Drain:
    """One run: batch after batch. The next one is decided ahead where that is possible."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.result = Run(symbol)
        self.deadline = time.monotonic() + settings.ENGINE_TIME_BOX_SECONDS
        # The last batch, the token that it wrote, and the next batch, which is decided ahead from both.
        self.last: Prepared | None = None
        self.token = ""
        self.next_batch: _NextBatch | None = None
        self.published: Future[None] | None = None
        # The commands of the current batch, and how far the search for a command that fails has come.
        self.rows: list[Row] = []
        self.bisection = Bisection()
        # Whether the current batch is of stops that are due alone, without a command.
        self.is_without_command = False
        # The trading status of the book when the current batch began.
        self.status: str = MarketStatus.TRADING

    def run(self) -> Run:
        try:
            while prepared := self._settle_next():
                self.published = run_in_background(prepared.publish, self.token)
                if time.monotonic() > self.deadline and self.next_batch is None:
                    queue.ring(self.symbol)
                    break
        finally:
            if self.published is not None:
                wait([self.published])
        return self.result

    def _settle_next(self) -> Prepared | None:
        """Settle one batch. An interrupted batch is done again from the start, so an outage fails no order."""
        interruptions = 0
        while True:
            try:
                return self._settle_batch()
            except BaseException as error:
                # The book in memory may hold changes that were never committed.
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
        self.rows, self.is_without_command = [], False
        if self.next_batch is not None:
            # Before the lock, because the background thread may still be publishing, and so wait for Redis.
            wait([self.next_batch.prepared])
        elif not is_waiting(self.symbol):
            # Checked without the lock: a run with an empty inbox must not wait for the run that does the work.
            return None
        asked_at = time.monotonic()
        with transaction.atomic(durable=True):
            row = lock_book(self.symbol)
            locked_at = time.monotonic()
            LOCK_WAIT.labels(self.symbol).observe(locked_at - asked_at)
            self.status = row.status
            prepared = self._decided_ahead(row) or self._decided_now(row)
            if prepared is None:
                return None
            clear_inbox(prepared.batch.done)
            self._decide_ahead(prepared, row.now, locked_at)
            # Where no command was applied, it is not known yet that one does not fail.
            token = store(row, prepared.settlement, 0 if prepared.batch.done else row.failures)
        locked_seconds = time.monotonic() - locked_at
        LOCKED.labels(self.symbol).observe(locked_seconds)
        self.result.add(prepared.batch, locked_seconds)
        self.bisection.settled(len(prepared.batch.done))
        # From the commit on the book in memory is the stored book, unless the next batch is changing it already.
        self.last, self.token = prepared, token
        if self.next_batch is None:
            books.remember(self.symbol, token, prepared.market)
        return prepared

    def _decided_ahead(self, row: BookRow) -> Prepared | None:
        """The batch that was decided ahead, if the book's row still carries the token of the batch before it."""
        if self.next_batch is None:
            return None
        (future, self.rows), self.next_batch = self.next_batch, None
        prepared = future.result()
        if prepared is None:
            # No command was decided: the book is as the last batch left it.
            assert self.last is not None
            books.remember(self.symbol, self.token, self.last.market)
        elif row.token == self.token:
            return prepared
        return None

    def _decided_now(self, row: BookRow) -> Prepared | None:
        limit = self.bisection.limit(settings.ENGINE_BATCH_SIZE)
        self.rows = read_inbox(self.symbol, limit, row)
        self.is_without_command = not self.rows
        if not self.rows and not row.is_cascading:
            return None
        # During a bisection each order is a command of its own, also one that was triggered: else its trigger would be
        # given up for it. So is what an order that was given up made due, because no other command is there to fail.
        may_fire = bool(self.rows) and not self.bisection.candidates
        return prepare(row, self.rows, has_more=len(self.rows) == limit, fires=may_fire)

    def _decide_ahead(self, prepared: Prepared, now: datetime, read_at: float) -> None:
        """Have the next batch decided while this one is written, if this one was full.

        Not after an unfinished taker, because it goes on with the funds that this batch stores; and not during a
        bisection. `now` is the database's time, read just before the monotonic instant `read_at`.
        """
        if not prepared.is_full or not settings.ENGINE_BOOK_CACHE or self.bisection.candidates:
            return
        if time.monotonic() > self.deadline:
            return
        rows = read_inbox(self.symbol, settings.ENGINE_BATCH_SIZE)
        if rows:
            # From here on the book in memory belongs to no stored token.
            books.forget(self.symbol)
            future = run_in_background(prepare_ahead, prepared, rows, now, read_at, dialect())
            self.next_batch = _NextBatch(future, rows)

    def _forget(self) -> None:
        books.forget(self.symbol)
        next_batch, self.next_batch, self.last = self.next_batch, None, None
        if next_batch is not None:
            # The background thread still changes the book that is thrown away.
            wait([next_batch.prepared])

    def _try_again(self, error: Exception, interruptions: int) -> Prepared | None:
        """Wait a moment after an outage. After a defect bisect the batch, and give up the command that fails alone."""
        if is_outage(error):
            is_deadlock = isinstance(error, OperationalError) and is_transient(error)
            (DEADLOCK_RETRIES.labels(ENGINE) if is_deadlock else INTERRUPTIONS.labels(self.symbol)).inc()
            logger.warning("batch of %s interrupted (attempt %d): %s", self.symbol, interruptions, error)
            time.sleep(BACKOFF_SECONDS * interruptions)
            return None
        if isinstance(error, UnreadableSnapshot):
            # No command is the cause. From now on the book is read from its rows.
            logger.error("batch of %s is done again, its book was from a snapshot: %s", self.symbol, error)
            return None
        if isinstance(error, books.BrokenBook) or self.is_without_command:
            # No command is the cause, and none could be given up.
            halt(self.symbol, error)
        if isinstance(error, books.BrokenBook) or not self.rows:
            raise error
        self.bisection.failed([row[0] for row in self.rows])
        logger.warning("batch of %s failed with %d commands: %r", self.symbol, len(self.rows), error)
        if len(self.rows) > 1:
            return None
        # A halted market may stay broken for long, and other markets wait for this worker: no pauses then.
        pauses = [] if self.status == MarketStatus.HALTED else settings.ENGINE_RETRY_MS
        if self.bisection.attempts <= len(pauses):
            time.sleep(pauses[self.bisection.attempts - 1] / 1000)
            return None
        return self._give_up(error)

    def _give_up(self, error: Exception) -> Prepared | None:
        command_id, attempts = self.rows[0][0], self.bisection.attempts
        self.bisection.settled(1)
        if isinstance(error, Overdrawn) and self.status not in (MarketStatus.HALTED, MarketStatus.DELISTED):
            # No command is the cause: the stored balances contradict the orders. In a market that takes no orders any
            # more the command is given up, so that the orders behind it can be refused.
            halt(self.symbol, error)
            raise error
        try:
            given_up = give_up(self.symbol, command_id, error, attempts)
        except Exception as worse:
            if not is_outage(worse):
                # The order's funds cannot be released either: the stored rows contradict each other.
                halt(self.symbol, worse)
            raise
        if given_up is not None:
            self.result.commands += 1
            self.result.show(given_up.batch)
        return given_up


P = ParamSpec("P")
R = TypeVar("R")

# How long the background thread may compute while the worker's thread, which has the answer to its statement, waits to
# go on. That wait comes with each of a batch's statements: at Python's default of 5 ms the waits together
# would be longer than the batch.
SWITCH_SECONDS = 0.00001


def run_in_background(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
    """Have the function called in the background thread, after all work that was given before.

    The function runs in a copy of the caller's context: its log lines carry the caller's `runId`, and the next function
    does not inherit it.
    """
    return _thread().submit(contextvars.copy_context().run, functools.partial(function, *args, **kwargs))


@functools.cache
def _thread() -> ThreadPoolExecutor:
    """The thread is made at the first use."""
    sys.setswitchinterval(SWITCH_SECONDS)
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="background")


# A thread does not survive a fork: a child process that gave work to its parent's thread would wait for ever.
os.register_at_fork(after_in_child=_thread.cache_clear)
