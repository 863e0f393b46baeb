"""Database work of the streams: a few threads for all of them, and no connection kept."""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import connections

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what reads the database in one of the shared threads.

    asgiref's sync_to_async would keep a thread for as long as the response lasts, and that thread its connection: as
    many threads and connections as there are open streams.
    """
    call = functools.partial(_release_after, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_executor(), call)


def _release_after(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    finally:
        connections.close_all()


@functools.cache
def _executor() -> ThreadPoolExecutor:
    workers = getattr(settings, "STREAM_THREADS", 4)
    return ThreadPoolExecutor(max_workers=workers, thread_name_prefix="stream-database")
