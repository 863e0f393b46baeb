"""Reading the database as it was at one instant, while the exchange goes on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction


@contextmanager
def one_snapshot() -> Iterator[None]:
    """A transaction that sees one committed state, writes nothing and locks nothing. None of its own within another."""
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "mysql":
        yield from _of_mysql()
    else:
        yield from _of_sqlite()


def _of_mysql() -> Iterator[None]:
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        # Django has begun a transaction, and the level is of the next one.
        cursor.execute("COMMIT")
        # Of that one only: sessions are READ COMMITTED, where each statement sees a later state.
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        yield


def _of_sqlite() -> Iterator[None]:
    connection.ensure_connection()
    wrapper: Any = connection
    mode = wrapper.transaction_mode
    # BEGIN IMMEDIATE, as everybody else begins, would keep the worker out.
    wrapper.transaction_mode = "DEFERRED"
    _set_query_only("ON")
    try:
        with transaction.atomic(durable=True):
            # A deferred transaction begins with the first thing that it reads.
            with connection.cursor() as cursor:
                cursor.execute("SELECT COUNT(*) FROM sqlite_master")
            yield
    finally:
        wrapper.transaction_mode = mode
        _set_query_only("OFF")


def _set_query_only(word: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA query_only = {word}")
