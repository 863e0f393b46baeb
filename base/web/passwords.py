"""Passwords are hashed by a few threads apart from those of requests, one or two at a time and at a low priority.

A hash costs a fifth of a second on purpose. Hashed by the threads of requests, eight sign-ins at once would hold all of
them, and orders would wait. bcrypt keeps other threads from nothing, so threads are enough: the system gives them what
time the rest of the exchange leaves. The processes of one machine take turns by locks upon files.
"""

import fcntl
import functools
import itertools
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.hashers import BCryptSHA256PasswordHasher

from base.telemetry.metrics import SIGN_INS
from base.web.errors import SignInsBusy
from base.web.ratelimit.addresses import current_network

T = TypeVar("T")

# So much nicer than its process is a thread that hashes: of a core that both want it gets about a tenth.
NICENESS, NICEST = 10, 19
# Longer than all that can wait before it.
PATIENCE_SECONDS = 15.0
# For so long a thread waits for its turn among the processes. One that is stuck must not keep sign-ins out for ever.
TURN_SECONDS, LOOK_SECONDS = 3.0, 0.05


class Hasher(BCryptSHA256PasswordHasher):
    """Django's, by the threads of this module. Raises SignInsBusy."""

    def encode(self, password: str, salt: Any) -> str:
        return queue().run(current_network(), functools.partial(super().encode, password, salt))


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    owner: str
    future: Future[Any]

    @property
    def waits(self) -> bool:
        return not (self.future.running() or self.future.done())


class Queue:
    """A few threads, and a few places for what they do and what waits for them: further work is refused at once.

    Where all places are taken, who has none takes one from the owner who waits with several: so one address can use all
    places while nobody else wants any, and can keep nobody out.
    """

    def __init__(self, threads: int, places: int, folder: Path | None = None) -> None:
        self._size = places
        self._lock = threading.Lock()
        self._places: list[_Place] = []
        self._turns = _Turns(folder)
        self._pool = ThreadPoolExecutor(threads, "passwords", initializer=self._turns.begin)

    def run(self, owner: str, work: Callable[[], T]) -> T:
        """The result of the work. Raises SignInsBusy."""
        place = self._enter(owner, work)
        try:
            result: T = place.future.result(PATIENCE_SECONDS)
            return result
        except (CancelledError, TimeoutError):
            raise _busy() from None
        finally:
            place.future.cancel()
            with self._lock:
                self._places.remove(place)

    def _enter(self, owner: str, work: Callable[[], T]) -> _Place:
        with self._lock:
            taken = [place for place in self._places if not place.future.cancelled()]
            if len(taken) >= self._size and not _makes_room(taken, owner):
                raise _busy()
            place = _Place(owner, self._pool.submit(self._in_turn, work))
            self._places.append(place)
            return place

    def _in_turn(self, work: Callable[[], T]) -> T:
        with self._turns.taken():
            return work()


def _makes_room(taken: list[_Place], owner: str) -> bool:
    """Cancel the last work that waits of whoever has the most places, if that is more than the owner has with one."""
    places = Counter(place.owner for place in taken)
    most, number = places.most_common(1)[0]
    if number <= places[owner] + 1:
        return False
    return any(place.owner == most and place.waits and place.future.cancel() for place in reversed(taken))


def _busy() -> SignInsBusy:
    SIGN_INS.labels("busy").inc()
    return SignInsBusy("too many passwords are being checked: try again")


class _Turns:
    """Each thread of a process takes turns with the same thread of the machine's other processes."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._file = threading.local()

    def begin(self) -> None:
        """In the thread itself, before its first work."""
        with suppress(OSError):
            # Where that is forbidden, as in some sandboxes, it hashes as fast as anything else.
            _be_nice()
        number = next(self._numbers)
        try:
            name = self._folder and self._folder / f"passwords-{number}.lock"
            self._file.number = os.open(name, os.O_RDWR | os.O_CREAT, 0o600) if name else None
        except OSError:
            # A folder that is another user's, or that cannot be written to: this process keeps to its own threads.
            self._file.number = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        number: int | None = self._file.number
        if number is None or not _locked(number):
            yield
            return
        try:
            yield
        finally:
            fcntl.flock(number, fcntl.LOCK_UN)


def _be_nice() -> None:
    if sys.platform == "linux":
        # There a thread has a priority of its own.
        thread = threading.get_native_id()
        niceness = os.getpriority(os.PRIO_PROCESS, thread) + NICENESS
        os.setpriority(os.PRIO_PROCESS, thread, min(niceness, NICEST))


def _locked(file: int) -> bool:
    """Whether the lock was got in time."""
    until = time.monotonic() + TURN_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_SECONDS)


@functools.cache
def queue() -> Queue:
    """The one of this process."""
    return Queue(settings.HASH_THREADS, settings.HASH_PLACES, Path(settings.DATA_DIR))


# A forked process has none of its parent's threads.
os.register_at_fork(after_in_child=queue.cache_clear)
