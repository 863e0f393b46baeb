"""The background thread: it does the work that needs no database, while the worker waits for the database.

It decides the next batch while this one is written, and it publishes a batch that is committed. The thread does all
work in the order in which it was given.
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

# How long the background thread may compute while the worker's thread, which has the answer to its statement, waits to
# go on. That wait comes with each of a batch's two dozen statements: at Python's default of 5 ms the waits together
# would be longer than the batch.
SWITCH_SECONDS = 0.00001


def run_in_background(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
    """Have the function called in the background thread, after all work that was given before.

    The function runs in a copy of the caller's context: its log lines carry the caller's `runId`, and the next function
    does not inherit it.
    """
    return _thread().submit(contextvars.copy_context().run, functools.partial(function, *args, **kwargs))


@functools.cache
def _thread() -> ThreadPoolExecutor:
    """The thread is made at the first use."""
    sys.setswitchinterval(SWITCH_SECONDS)
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="background")


# A thread does not survive a fork: a child process that gave work to its parent's thread would wait for ever.
os.register_at_fork(after_in_child=_thread.cache_clear)
