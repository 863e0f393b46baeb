"""Database work of the streams: a few threads for all of them, and no connection kept."""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

from django.conf import settings
from django.db import connections

P = ParamSpec("P")
T = TypeVar("T")

_waiting: SimpleQueue[tuple["Future[Any]", Callable[[], Any]]] = SimpleQueue()


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what reads the database in one of the shared threads.

    asgiref's sync_to_async would keep a thread for as long as the response lasts, and that thread its connection: as
    many threads and connections as there are open streams.
    """
    outcome: Future[T] = Future()
    _waiting.put((outcome, functools.partial(function, *args, **kwargs)))
    _executor().submit(_work_off)
    return await asyncio.wrap_future(outcome)


def _work_off() -> None:
    """Do all that waits on one connection, then give it back: a thousand streams may read at the same moment."""
    try:
        while True:
            outcome, call = _waiting.get_nowait()
            if outcome.set_running_or_notify_cancel():
                _settle(outcome, call)
    except Empty:
        pass
    finally:
        connections.close_all()


def _settle(outcome: "Future[Any]", call: Callable[[], Any]) -> None:
    try:
        result = call()
    except BaseException as error:
        # The next call must not meet the connection that failed.
        connections.close_all()
        outcome.set_exception(error)
    else:
        outcome.set_result(result)


@functools.cache
def _executor() -> ThreadPoolExecutor:
    workers = getattr(settings, "STREAM_THREADS", 4)
    return ThreadPoolExecutor(max_workers=workers, thread_name_prefix="stream-database")
