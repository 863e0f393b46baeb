"""Reading the database once for many streams."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """What all the streams that ask at the same moment read together: who comes while it is read waits for the next."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._latest: tuple[float, T] | None = None

    def read(self, since: float) -> T:
        """One whose reading began after `since`, an instant of time.monotonic: an older one could lack what is new."""
        with self._lock:
            if self._latest is None or self._latest[0] <= since:
                began_at = time.monotonic()
                self._latest = began_at, self._read()
            return self._latest[1]
