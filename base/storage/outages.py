"""What an outage is, of the database, Redis, the broker and the network: anything else is a defect or a refusal.

An outage passes, so the same is tried again. A defect does not: an order that is tried for ever would stop its market.
"""

import functools
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from amqp.exceptions import ConnectionError as AmqpConnectionError
from django.db import DatabaseError, Error, InterfaceError, OperationalError, connection
from django_redis.exceptions import ConnectionInterrupted
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from base.telemetry.metrics import DEADLOCK_RETRIES, INTAKE

# The database's errors are distinguished by number and not by class: the driver calls a value that does not fit an
# OperationalError, and a missing table a ProgrammingError.
# MySQL and MariaDB: lock wait timeout, deadlock, record changed since the snapshot was taken.
TRANSIENT_CODES = frozenset({1205, 1213, 1020})
# Disk full or failing, too many connections, shutting down, out of memory or locks, node not ready.
_BUSY = {3, 1021, 1026, 1030, 1037, 1038, 1040, 1041, 1047, 1053, 1114, 1180, 1203, 1206, 1226, 1297}
_CUT_OFF = {1077, 1078, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1317, 1927, 1969, 3024, 4031}
_READ_ONLY = {1223, 1290, 1792, 1836}
# The schema is being changed, or a grant is missing: a mistake of the operator's that concerns every order.
_NOT_READY = {1044, 1045, 1049, 1054, 1142, 1143, 1146, 1227, 1412}
_CLIENT_ERRORS = range(2000, 2100)  # no connection, or lost on the way: gone away, lost, refused, timed out
_CODES = TRANSIENT_CODES | _BUSY | _CUT_OFF | _READ_ONLY | _NOT_READY
_SQLITE = ("locked", "disk", "unable to open", "readonly", "no such table", "no such column")

# A Redis that answers but takes no writes is of no use: a replica, or one whose memory is full.
_SERVER_AWAY = (RedisConnectionError, RedisTimeoutError, ReadOnlyError, OutOfMemoryError, AmqpConnectionError, OSError)
# Their cause is what was raised first. It may be a refusal, which is no outage.
_WRAPPERS = (BrokerError, ConnectionInterrupted)

ATTEMPTS = 8
BACKOFF_SECONDS = 0.01

P = ParamSpec("P")
R = TypeVar("R")


def is_outage(error: BaseException) -> bool:
    """Whether the same is worth trying again as soon as the database and the servers are well."""
    if isinstance(error, DatabaseError):
        code = error.args[0] if error.args else None
        if isinstance(code, int):
            return code in _CODES or code in _CLIENT_ERRORS
        return any(word in str(error) for word in _SQLITE)
    return isinstance(error, InterfaceError | RedisError | BrokerError | OSError | MemoryError)


def is_server_away(error: BaseException) -> bool:
    """Whether a Redis or a broker is away. It is not where it refuses one command, nor where our own code is wrong."""
    if isinstance(error, _WRAPPERS):
        return error.__cause__ is None or is_server_away(error.__cause__)
    # redis-py has no class for a server that cannot save to its disk and refuses writes for that.
    return isinstance(error, _SERVER_AWAY) or (isinstance(error, ResponseError) and str(error).startswith("MISCONF"))


def is_transient(error: OperationalError) -> bool:
    """Whether the database itself asks for the transaction to be tried again."""
    return bool(error.args) and error.args[0] in TRANSIENT_CODES


def is_read_only(error: Error) -> bool:
    """Whether the database answers and takes no writes."""
    return bool(error.args) and (error.args[0] in _READ_ONLY or "readonly" in str(error))


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
