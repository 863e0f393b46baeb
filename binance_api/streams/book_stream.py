"""The differences of one market's book: read at most one each 100 ms, and only while somebody follows them."""

import asyncio
import logging
import time

from base.streams.threads import in_thread
from binance_api.streams.changes import Reading, Update, update
from binance_api.streams.readings import TooMuchMissed, read_book, read_changed_book

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.1
AGAIN_SECONDS = 2.0


class BookStream:
    """`_told`: the event up to which followers were told. Nothing that was read since differs from it."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._book: Reading | None = None
        self._told = 0
        self._is_moved = False
        self._due = 0.0
        self._lock = asyncio.Lock()

    async def begin(self) -> None:
        """Read the book, for a first follower. What a client reads over REST after this is no older."""
        async with self._lock:
            if self._book is None:
                self._book = await in_thread(read_book, self._symbol)
                self._told = self._book.sequence

    def end(self) -> None:
        """Nobody follows it any more."""
        self._book = None

    def moved(self) -> None:
        """The book has changed."""
        self._is_moved = True

    @property
    def due(self) -> float:
        """When it is to be read, as an instant of time.monotonic."""
        return self._due if self._is_moved and self._book is not None else float("inf")

    async def next(self) -> Update | None:
        """What changed since the last time. Raises TooMuchMissed."""
        async with self._lock:
            before = self._book
            if before is None:
                return None
            self._is_moved, self._due = False, time.monotonic() + PAUSE_SECONDS
            try:
                now, touched = await in_thread(read_changed_book, self._symbol, before.sequence)
            except TooMuchMissed:
                raise
            except Exception as error:
                logger.warning("the book of %s cannot be read for its followers: %r", self._symbol, error)
                self._is_moved, self._due = True, time.monotonic() + AGAIN_SECONDS
                return None
            if now.sequence <= before.sequence or self._book is not before:
                return None
            self._book = now
            found = update(self._told + 1, before, now, touched)
            if found is not None:
                self._told = now.sequence
            return found
