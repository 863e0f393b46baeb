"""Whose request has the next thread: first of those who keep to what they are told, then of those who do not. Pure.

Whoever was told to wait and comes before its time floods, whatever it sends. What the rate limit lets in of a flood is
served as well, but in one thread at a time and behind everybody else's: requests that are served at the same time slow
each other down, because Python computes one at a time.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import TTLCache

# So long somebody is impatient after the last request that came too soon.
REMEMBERED, REMEMBERED_SECONDS = 10_000, 5.0
# An impatient client's request that has waited for so long is not put behind any longer.
PATIENCE_SECONDS = 1.0
IMPATIENT_THREADS = 1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Turn(Generic[T]):
    """A request that is served now."""

    request: T
    is_impatient: bool


class Turns(Generic[T]):
    """`threads` are served at the same time. Used from one thread."""

    def __init__(self, threads: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._free, self._free_to_impatient = threads, IMPATIENT_THREADS
        self._clock = clock
        self._patient: deque[T] = deque()
        # With the instant at which each arrived.
        self._impatient: deque[tuple[float, T]] = deque()
        self._came_too_soon: TTLCache[str, bool] = TTLCache(REMEMBERED, REMEMBERED_SECONDS, timer=clock)

    def came_too_soon(self, who: str) -> None:
        """A request was refused that came before the time that its sender was told."""
        self._came_too_soon[who] = True

    def wait(self, who: str, request: T) -> None:
        if who in self._came_too_soon:
            self._impatient.append((self._clock(), request))
        else:
            self._patient.append(request)

    def next(self) -> Turn[T] | None:
        """The request that is to be served now; None where nobody waits, or no thread is free for those who do."""
        if not self._free:
            return None
        is_impatient = bool(self._impatient and self._free_to_impatient) and (not self._patient or self._has_waited)
        if is_impatient:
            request = self._impatient.popleft()[1]
        elif self._patient:
            request = self._patient.popleft()
        else:
            return None
        self._free -= 1
        self._free_to_impatient -= is_impatient
        return Turn(request, is_impatient)

    def served(self, turn: Turn[T]) -> None:
        """Its thread is free again."""
        self._free += 1
        self._free_to_impatient += turn.is_impatient

    @property
    def _has_waited(self) -> bool:
        return self._clock() - self._impatient[0][0] >= PATIENCE_SECONDS
