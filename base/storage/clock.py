"""The database's clock, which is one clock for all processes on all hosts."""

from datetime import UTC, datetime
from typing import Any

from django.db import connection

# To be asked by a statement of its own after a lock: the one that waits for it has the time at which its wait began.
CLOCK = {"mysql": "SELECT CURRENT_TIMESTAMP(6)", "sqlite": "SELECT STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')"}


def database_time() -> datetime:
    """The time of the database's clock: within a transaction that of this statement."""
    with connection.cursor() as cursor:
        cursor.execute(CLOCK[connection.vendor])
        return clock_time(cursor.fetchone())


def clock_time(row: tuple[Any, ...]) -> datetime:
    """The time that is the answer to one of these."""
    # SQLite gives the time as text.
    return datetime.fromisoformat(str(row[0])).replace(tzinfo=UTC)
