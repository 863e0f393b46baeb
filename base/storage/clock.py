"""The database's clock, which is one clock for all processes on all hosts."""

from datetime import UTC, datetime

from django.db import connection

_CLOCK = {"mysql": "SELECT CURRENT_TIMESTAMP(6)", "sqlite": "SELECT STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')"}


def database_time() -> datetime:
    """The time of the database's clock: within a transaction that of this statement.

    To be asked by a statement of its own after a lock: the one that waits for it has the time at which its wait began.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CLOCK[connection.vendor])
        (now,) = cursor.fetchone()
    # SQLite gives the time as text.
    return datetime.fromisoformat(str(now)).replace(tzinfo=UTC)
