"""Work done aside: what needs no database is done in one thread of its own while the worker waits for the database.

Two kinds of work go there, in the order in which they are given: deciding the next batch while this one is written, and
telling of a batch once it is committed.
"""

import contextvars
import functools
import os
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# How long a thread may compute while another, whose statement has been answered, waits to go on. The worker waits so at
# each step of each of a batch's two dozen statements: with Python's own 5 ms longer than the whole batch takes.
SWITCH_SECONDS = 0.00001


def run_in_background(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
    """Have the function called in the other thread, after everything that was given before.

    In a copy of the caller's context: what it logs there carries the run that it belongs to, and leaves nothing behind.
    """
    return _thread().submit(contextvars.copy_context().run, functools.partial(function, *args, **kwargs))


@functools.cache
def _thread() -> ThreadPoolExecutor:
    """Made at the first use."""
    sys.setswitchinterval(SWITCH_SECONDS)
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="aside")


# A thread does not survive a fork: what the child gave to its parent's would never be done.
os.register_at_fork(after_in_child=_thread.cache_clear)
