"""The differences of one market's book: read at most one each 100 ms, and only while somebody follows them.

A reading of a deep book takes some ten milliseconds of the processor. So the books of all markets are read in turn:
where many are busy at once each is read less often.
"""

import asyncio
import logging
import time

from base.streams.threads import in_turn
from binance_api.streams.changes import Reading, Update, update
from binance_api.streams.readings import TooMuchMissed, read_book, read_changed_book

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.1
AGAIN_SECONDS = 2.0
# For so long a reading is kept for the next follower, so that clients who come and go cost no reading each.
KEPT_SECONDS = 5.0


class BookStream:
    """`_sent`: the event up to which followers have differences. Nothing that was read since differs from it."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._book: Reading | None = None
        self._sent = 0
        self._is_moved = False
        self._is_reading = False
        self._due = 0.0
        self._left_at: float | None = None
        self._lock = asyncio.Lock()

    async def begin(self) -> None:
        """Read the book, for a first follower. What a client reads over REST after this is no older."""
        async with self._lock:
            if self._left_at is not None and time.monotonic() > self._left_at + KEPT_SECONDS:
                self._book = None
            if self._book is None:
                self._book = await in_turn(read_book, self._symbol)
                self._sent = self._book.sequence
            elif self._left_at is not None:
                # Of what happened since, nothing was sent.
                self._is_moved = True
            self._left_at = None

    def end(self) -> None:
        """Nobody follows it any more."""
        if self._left_at is None:
            self._left_at = time.monotonic()

    def moved(self) -> None:
        """The book has changed."""
        self._is_moved = True

    @property
    def due(self) -> float:
        """When it is to be read, as an instant of time.monotonic."""
        is_wanted = self._book is not None and self._left_at is None and not self._is_reading
        return self._due if self._is_moved and is_wanted else float("inf")

    async def next(self) -> Update | None:
        """What changed since the last time. Raises TooMuchMissed."""
        self._is_reading = True
        try:
            return await self._next()
        finally:
            self._is_reading = False

    async def _next(self) -> Update | None:
        async with self._lock:
            before = self._book
            if before is None:
                return None
            self._is_moved, self._due = False, time.monotonic() + PAUSE_SECONDS
            try:
                now, touched = await in_turn(read_changed_book, self._symbol, before.sequence)
            except TooMuchMissed:
                # Who comes next begins with another reading.
                self._book = None
                raise
            except Exception as error:
                logger.warning("the book of %s cannot be read for its followers: %r", self._symbol, error)
                self._is_moved, self._due = True, time.monotonic() + AGAIN_SECONDS
                return None
            if now.sequence <= before.sequence:
                return None
            self._book = now
            found = update(self._sent + 1, before, now, touched)
            if found is not None:
                self._sent = now.sequence
            return found
