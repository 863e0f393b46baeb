"""The gap detector compares the received messages with the event log, and makes streams read what they missed.

A message may be lost: Redis was away, or the worker died between its commit and its publication. Each process receives
the messages of all users, and the sequence numbers of a log have no gaps. So one query a second for the newest number
of each log finds whatever was missed, however many streams there are. While Redis is away the same query finds every
new event, and the streams read them from the database.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from base.streams.messages import split_id
from base.streams.threads import in_thread

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
# More than a second's messages add up only while the database cannot be read.
RECEIVED_LIMIT = 100_000


@dataclass(frozen=True)
class Position:
    """The newest sequence number of each log, and their lineage. `read_at` is an instant of time.monotonic."""

    newest: Mapping[str, int] = field(default_factory=dict)
    read_at: float = 0.0
    lineage: str = ""

    def is_behind(self, other: "Position") -> bool:
        """Whether numbers may be used again: some log is shorter than it was, or another server has taken over."""
        if other.newest and self.lineage != other.lineage:
            return True
        return any(self.newest.get(log, 0) < sequence for log, sequence in other.newest.items())


class EventLog(Protocol):
    """Where messages with an id are kept. Its methods read the database."""

    def position(self) -> Position: ...

    def channels_between(self, log: str, first: int, last: int) -> Iterable[str]:
        """The channels of the log's messages numbered first to last."""


class GapDetector:
    """`checkpoint`: this process received everything up to there, or has made its streams read it."""

    def __init__(
        self,
        event_log: EventLog,
        *,
        is_subscribed: Callable[[], bool],
        has_streams: Callable[[], bool],
        must_catch_up: Callable[[Iterable[str] | None], None],
        must_end: Callable[[], None],
    ) -> None:
        self._event_log = event_log
        self._is_subscribed = is_subscribed
        self._has_streams = has_streams
        self._must_catch_up = must_catch_up
        self._must_end = must_end
        self.checkpoint: Position | None = None
        self._generation = 0
        self._previous = Position()
        self._received: defaultdict[str, set[int]] = defaultdict(set)
        # Of each log the first and the last number of those received last, among which none is missing.
        self._runs: dict[str, tuple[int, int]] = {}
        self._is_failing = False
        self._wake = asyncio.Event()

    def receive(self, message_id: str | None) -> None:
        place = split_id(message_id)
        if place is not None and self._has_streams():
            log, sequence = place
            if len(self._received[log]) >= RECEIVED_LIMIT:
                self._received[log].clear()
            self._received[log].add(sequence)
            first, last = self._runs.get(log, (sequence, sequence))
            if first - 1 <= sequence <= last + 1:
                self._runs[log] = min(first, sequence), max(last, sequence)
            elif sequence > last:
                self._runs[log] = sequence, sequence

    def has_all(self, log: str, after: int, last: int) -> bool:
        """Whether all messages of the log after one number up to another were received, without a look at the log."""
        run = self._runs.get(log)
        return run is not None and run[0] <= after + 1 and last <= run[1]

    def begin_anew(self) -> None:
        """The subscription had a gap: look at once, and make every stream read."""
        self._generation += 1
        self.checkpoint = None
        self._wake.set()

    async def run(self) -> None:
        """Look once a second until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self._look()
                self._is_failing = False
            except Exception as error:
                if not self._is_failing:
                    logger.warning("the gap detector cannot read the database: %r", error)
                self._is_failing = True
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _look(self) -> None:
        if not self._has_streams():
            self.checkpoint = None
            self._received.clear()
            return
        since, generation = self.checkpoint, self._generation
        newest = await in_thread(self._event_log.position)
        # What the last look found has been published by now, or never will be.
        due = self._previous if self._is_subscribed() else newest
        missed: set[str] = set()
        if since is not None:
            for log, last in due.newest.items():
                missed.update(await self._missed_channels(log, since.newest.get(log, 0), last))
        if generation != self._generation:
            # The process subscribed again while the database was read, or just before: the next look comes at once.
            return
        if since is None:
            self._must_catch_up(None)
            self._settle(newest, newest)
            return
        if newest.is_behind(self._previous):
            self._must_end()
            self._runs.clear()
            self._settle(newest, newest)
            return
        if missed:
            self._must_catch_up(missed)
        self._settle(due, newest)

    async def _missed_channels(self, log: str, after: int, last: int) -> Iterable[str]:
        if last <= after:
            return ()
        received = self._received.get(log, set())
        missing = [sequence for sequence in range(after + 1, last + 1) if sequence not in received]
        if not missing:
            return ()
        return await in_thread(_channels, self._event_log, log, missing[0], missing[-1])

    def _settle(self, checkpoint: Position, newest: Position) -> None:
        self.checkpoint = checkpoint
        self._previous = newest
        received, self._received = self._received, defaultdict(set)
        self._runs = {log: run for log, run in self._runs.items() if log in newest.newest}
        for log in newest.newest:
            settled = checkpoint.newest.get(log, 0)
            ahead = {sequence for sequence in received.get(log, ()) if sequence > settled}
            if ahead:
                self._received[log] = ahead


def _channels(event_log: EventLog, log: str, first: int, last: int) -> list[str]:
    return list(event_log.channels_between(log, first, last))
