"""Shared readings: what was read of public rows, given to all who ask while the rows are as they were.

Each reading has a version, which is read before the rows and again by each who asks: one look along a primary key in
place of all that the answer needs. So nobody is answered by rows that were older than the question. One thread at a
time reads; those that wait for it take a reading that began after they asked.
"""

import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from cachetools import LRUCache

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

# Who has waited so long for another's reading reads too: a slow database must not stop one thread after another.
PATIENCE_SECONDS = 1.0


class _Kept(NamedTuple, Generic[T]):
    """A reading, with its version, and the instant at which it began."""

    version: Hashable
    began_at: float
    value: T


class SharedReadings(Generic[K, T]):
    """The last `most` readings. `versions` has none for a key whose rows have no version yet: that is not kept.

    `versions` and `read` take several keys, so that many may be read by one query; `read` has a value for each.
    """

    def __init__(
        self,
        most: int,
        versions: Callable[[Sequence[K]], Mapping[K, Hashable]],
        read: Callable[[Sequence[K]], Iterable[T]],
    ) -> None:
        self._versions, self._read = versions, read
        self._kept: LRUCache[K, _Kept[T]] = LRUCache(most)
        self._guard = threading.Lock()
        self._reading = threading.Lock()

    def one(self, key: K) -> T:
        """What was read for the key, as it is now."""
        return self.many([key])[0]

    def many(self, keys: Sequence[K]) -> list[T]:
        """The same for several, in the order given."""
        asked_at = time.monotonic()
        found = self._find(keys, self._versions(keys), asked_at)
        missing = [key for key in keys if key not in found]
        if missing:
            is_first = self._reading.acquire(timeout=PATIENCE_SECONDS)
            try:
                found |= self._read_missing(missing, asked_at)
            finally:
                if is_first:
                    self._reading.release()
        return [found[key] for key in keys]

    def forget(self) -> None:
        with self._guard:
            self._kept.clear()

    def _read_missing(self, keys: Sequence[K], asked_at: float) -> dict[K, T]:
        found = self._find(keys, {}, asked_at)
        missing = [key for key in keys if key not in found]
        if not missing:
            return found
        began_at = time.monotonic()
        # Before the rows, which may be newer then: the next who asks finds another version, and reads again.
        versions = self._versions(missing)
        values = dict(zip(missing, self._read(missing), strict=True))
        with self._guard:
            for key, value in values.items():
                if key in versions:
                    self._kept[key] = _Kept(versions[key], began_at, value)
        return found | values

    def _find(self, keys: Sequence[K], versions: Mapping[K, Hashable], asked_at: float) -> dict[K, T]:
        """Those that are of the version of now, or that began to be read after they were asked for."""
        with self._guard:
            kept = {key: self._kept[key] for key in keys if key in self._kept}
        return {
            key: each.value
            for key, each in kept.items()
            if each.began_at > asked_at or (key in versions and versions[key] == each.version)
        }
