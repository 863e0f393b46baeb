"""Who was told to come again later is refused until then, without a look at who asks: a flood costs nearly nothing.

What is remembered is what Redis or this process counted, and only for as long as the answer said: nobody who comes when
it was told is refused by this. A credential is known by its hash, and whether it is any good is not asked again.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from cachetools import TTLCache

from base.web.ratelimit.windows import LONGEST_SECONDS, Verdict

REMEMBERED = 10_000
_Key = tuple[str, bytes, str]


class Waits:
    """Of this process. A wait holds for a bucket; one whose `path` is not empty, for requests of that path alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._told: TTLCache[_Key, tuple[float, Verdict]] = TTLCache(REMEMBERED, LONGEST_SECONDS, timer=clock)

    def remember(self, bucket: str, who: str, path: str, verdict: Verdict) -> None:
        """A request was refused, and its sender was told for how long to wait."""
        with self._lock:
            self._told[bucket, _hashed(who), path] = self._clock(), verdict

    def find(self, bucket: str, who: str, path: str) -> Verdict | None:
        """What the sender was told, with the time that is left of it; None where it may be asked for."""
        hashed = _hashed(who)
        with self._lock:
            now = self._clock()
            for key in ((bucket, hashed, ""), (bucket, hashed, path)):
                if (told := self._told.get(key)) is not None and (verdict := _left(told, now)) is not None:
                    return verdict
        return None


def _left(told: tuple[float, Verdict], now: float) -> Verdict | None:
    began, verdict = told
    wait, reset = (seconds - (now - began) for seconds in (verdict.wait_seconds, verdict.reset_seconds))
    return replace(verdict, wait_seconds=wait, reset_seconds=reset) if wait > 0 else None


def _hashed(who: str) -> bytes:
    """Short, however long a header is, and no secret in memory."""
    return hashlib.blake2b(who.encode(errors="surrogateescape"), digest_size=16).digest()
