"""Doing a transaction again when the database broke it off to end a deadlock."""

import functools
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection

from base.telemetry.metrics import DEADLOCK_RETRIES, INTAKE

# MySQL and MariaDB: lock wait timeout, deadlock, record changed since the snapshot was taken.
TRANSIENT_CODES = frozenset({1205, 1213, 1020})
ATTEMPTS = 8
BACKOFF_SECONDS = 0.01

P = ParamSpec("P")
R = TypeVar("R")


def again_on_deadlock(function: Callable[P, R]) -> Callable[P, R]:
    """Call the function again, from its start, when its own transaction lost a deadlock.

    Inside a caller's transaction the error goes on: half of that transaction may be gone, so only its owner may retry.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for attempt in range(1, ATTEMPTS):
            try:
                return function(*args, **kwargs)
            except OperationalError as error:
                if not is_transient(error) or connection.in_atomic_block:
                    raise
                DEADLOCK_RETRIES.labels(INTAKE).inc()
                # Spread: those that met once would meet again.
                time.sleep(random.uniform(0.2, 1.0) * BACKOFF_SECONDS * 2**attempt)  # noqa: S311
        return function(*args, **kwargs)

    return call


def is_transient(error: OperationalError) -> bool:
    """Whether the database itself asks for the transaction to be tried again."""
    return bool(error.args) and error.args[0] in TRANSIENT_CODES
