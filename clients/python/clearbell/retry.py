"""When a request is sent again, and after how long."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from .errors import Refused


class Cut(Exception):
    """The connection gave no answer in time, or ended. `was_sent` is False where the request certainly did not go."""

    def __init__(self, cause: str, *, was_sent: bool = True) -> None:
        super().__init__(cause)
        self.was_sent = was_sent


@dataclass(frozen=True, slots=True)
class Trouble:
    """An attempt that did not settle the matter.

    `refusal` is None where there was no answer. `is_unknown`: what was asked may have been done all the same.
    """

    what: str
    cause: str
    is_unknown: bool
    refusal: Refused | None = None

    @property
    def is_throttled(self) -> bool:
        return self.refusal is not None and self.refusal.status == 429


class Patience(Protocol):
    """One request's: asked after each trouble."""

    def pause(self, trouble: Trouble) -> float | None:
        """For how many seconds to wait before it is sent again; None is to give up."""


class Patient(Protocol):
    """Who is patient with each of its requests: `Retry`, or a rule of one's own."""

    def patience(self) -> Patience: ...


def ignore(trouble: Trouble) -> None:
    """The default of `on_trouble`."""


@dataclass(frozen=True)
class Retry:
    """Who is patient: `attempts` without an answer, `seconds` in all, pauses that double up to `longest_pause`.

    A 429, and a 503 that names a time, wait as long as they say, within `seconds`. None is for ever. `on_trouble` is
    called with each trouble.
    """

    attempts: int | None = 8
    seconds: float | None = 60.0
    first_pause: float = 0.1
    longest_pause: float = 2.0
    on_trouble: Callable[[Trouble], None] = ignore

    def patience(self) -> Patience:
        return _Patience(self, time.monotonic())


@dataclass
class _Patience:
    retry: Retry
    began: float
    failed: int = 0
    next_pause: float = field(init=False)

    def __post_init__(self) -> None:
        self.next_pause = self.retry.first_pause

    def pause(self, trouble: Trouble) -> float | None:
        self.retry.on_trouble(trouble)
        asked = trouble.refusal.retry_after if trouble.refusal is not None else None
        if trouble.is_throttled:
            wait = asked or self.retry.first_pause
        else:
            self.failed += 1
            if self.retry.attempts is not None and self.failed >= self.retry.attempts:
                return None
            wait = max(asked or 0.0, uneven(self.next_pause))
            self.next_pause = min(self.next_pause * 2, self.retry.longest_pause)
        is_over = self.retry.seconds is not None and time.monotonic() + wait > self.began + self.retry.seconds
        return None if is_over else wait


def uneven(seconds: float) -> float:
    """Those who were cut off together do not come back together."""
    return seconds * random.uniform(0.7, 1.3)  # noqa: S311


# One attempt: whoever asks decides what comes next.
ONCE = Retry(attempts=1, seconds=0.0)
