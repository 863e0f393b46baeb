"""Whose request has the next thread: of all who wait, that of whoever has cost least lately. Pure.

In the order of arrival one client with many connections would be ahead of everybody else with most of its requests.
What a client costs is processor time, of which half is forgotten in a second: so whoever is kept waiting comes to be
the one who has cost least, and nobody waits for ever.

Those who have cost more than others hold half of the threads at most, because requests that are served at the same time
slow each other down: Python computes one at a time.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import TTLCache

HALF_LIFE_SECONDS = 1.0
REMEMBERED, REMEMBERED_SECONDS = 10_000, 10 * HALF_LIFE_SECONDS

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Turn(Generic[T]):
    """A request that is served now."""

    who: str
    request: T
    is_heavy: bool


class Turns(Generic[T]):
    """`threads` are served at the same time. Used from one thread."""

    def __init__(self, threads: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._free = threads
        self._free_to_heavy = max(1, threads // 2)
        self._clock = clock
        self._waiting: dict[str, deque[T]] = {}
        # What each has cost, and the sums of that and of its squares, as of an instant.
        self._costs: TTLCache[str, tuple[float, float]] = TTLCache(REMEMBERED, REMEMBERED_SECONDS, timer=clock)
        self._sums = (0.0, 0.0, clock())

    def wait(self, who: str, request: T) -> None:
        self._waiting.setdefault(who, deque()).append(request)

    def next(self) -> Turn[T] | None:
        """The request that is to be served now; None where nobody waits, or no thread is free for those who do."""
        if not self._free or not self._waiting:
            return None
        now = self._clock()
        who = min(self._waiting, key=lambda each: self._cost(each, now))
        is_heavy = self._cost(who, now) > self._usual(now)
        if is_heavy and not self._free_to_heavy:
            return None
        requests = self._waiting.pop(who)
        turn = Turn(who, requests.popleft(), is_heavy)
        if requests:
            # Behind those who have cost the same.
            self._waiting[who] = requests
        self._free -= 1
        self._free_to_heavy -= is_heavy
        return turn

    def served(self, turn: Turn[T], seconds: float) -> None:
        """A thread is free again, after so much processor time."""
        self._free += 1
        self._free_to_heavy += turn.is_heavy
        now = self._clock()
        before, (total, squares) = self._cost(turn.who, now), self._sums_at(now)
        after = before + seconds
        self._costs[turn.who] = after, now
        self._sums = total + seconds, squares + after**2 - before**2, now

    def _cost(self, who: str, now: float) -> float:
        cost, at = self._costs.get(who, (0.0, now))
        return cost * _left(now - at)

    def _usual(self, now: float) -> float:
        """The mean, weighed by cost itself: a thousand clients of one cheap request each do not change it."""
        total, squares = self._sums_at(now)
        return squares / total if total else 0.0

    def _sums_at(self, now: float) -> tuple[float, float]:
        total, squares, at = self._sums
        left = _left(now - at)
        return total * left, squares * left**2


def _left(seconds: float) -> float:
    """The share that is not forgotten after so long."""
    left: float = 0.5 ** (seconds / HALF_LIFE_SECONDS)
    return left
