"""Database work of the streams: a few threads for all of them, and no connection kept while nothing is to do."""

import asyncio
import contextvars
import functools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, Generic, ParamSpec, TypeVar

from django.conf import settings
from django.db import connections

P = ParamSpec("P")
T = TypeVar("T")
Work = tuple["Future[Any]", Callable[[], Any]]

# A thousand streams may read at the same moment: a connection each would cost more than what they read.
LINGER_SECONDS = 0.2
# After what took longer the database was away, and not the processor busy.
LONGEST_REST = 0.5


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what reads the database in one of the shared threads.

    asgiref's sync_to_async would keep a thread for as long as the response lasts, and that thread its connection: as
    many threads and connections as there are open streams.
    """
    return await _run(_queue(), functools.partial(function, *args, **kwargs))


async def in_turn(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what costs much and may wait: one after the other, in a thread that rests after each for as long as it took.

    So all of it together takes at most half of the time, and none of the threads in which all else is read.
    """
    return await _run(_turns(), functools.partial(function, *args, **kwargs))


async def _run(queue: SimpleQueue[Work], function: Callable[[], T]) -> T:
    outcome: Future[T] = Future()
    # In the caller's context: what is logged there belongs to the caller's request.
    queue.put((outcome, functools.partial(contextvars.copy_context().run, function)))
    return await asyncio.wrap_future(outcome)


@functools.cache
def _queue() -> SimpleQueue[Work]:
    return _served([f"stream-database-{number}" for number in range(settings.STREAM_THREADS)])


@functools.cache
def _turns() -> SimpleQueue[Work]:
    return _served(["stream-turns"], rests=True)


def _served(names: list[str], *, rests: bool = False) -> SimpleQueue[Work]:
    queue: SimpleQueue[Work] = SimpleQueue()
    for name in names:
        # Daemons: they only read, and must not keep a process that ends.
        threading.Thread(target=_work, args=(queue, rests), name=name, daemon=True).start()
    return queue


def _work(queue: SimpleQueue[Work], rests: bool) -> None:
    while True:
        try:
            outcome, call = queue.get(timeout=LINGER_SECONDS)
        except Empty:
            connections.close_all()
            outcome, call = queue.get()
        began_at = time.monotonic()
        if outcome.set_running_or_notify_cancel():
            _settle(outcome, call)
        # Otherwise the last caller's request would stay in memory until the next one comes.
        del outcome, call
        if rests:
            time.sleep(min(time.monotonic() - began_at, LONGEST_REST))


def _settle(outcome: "Future[Any]", call: Callable[[], Any]) -> None:
    try:
        result = call()
    except BaseException as error:
        # The next call must not meet the connection that failed.
        connections.close_all()
        outcome.set_exception(error)
    else:
        outcome.set_result(result)


class Shared(Generic[T]):
    """One reading for all streams that ask at the same moment. One that asks during a reading waits for the next."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._latest: tuple[float, T] | None = None

    def read(self, since: float) -> T:
        """A reading that began after `since`, an instant of time.monotonic: an older one could lack what is new."""
        with self._lock:
            if self._latest is None or self._latest[0] <= since:
                began_at = time.monotonic()
                self._latest = began_at, self._read()
            return self._latest[1]
