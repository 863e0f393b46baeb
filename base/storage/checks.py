"""What the database must be for the engine to be right, asserted before anything is matched."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connection


def database_faults() -> list[str]:
    """What is wrong with the sessions that Django opens; empty when the engine may run.

    REPEATABLE READ re-fills orders that are filled already, and a lenient sql_mode clips amounts without a word.
    """
    if connection.vendor != "mysql":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SHOW VARIABLES WHERE variable_name IN ('transaction_isolation', 'tx_isolation')")
        levels = {value for _, value in cursor.fetchall()}
        cursor.execute("SELECT @@sql_mode")
        (sql_mode,) = cursor.fetchone()
    faults = []
    if levels != {"READ-COMMITTED"}:
        faults.append(f"transaction isolation is {', '.join(sorted(levels))}, it must be READ-COMMITTED")
    if not {"STRICT_ALL_TABLES", "STRICT_TRANS_TABLES"} & set(sql_mode.split(",")):
        faults.append(f"sql_mode {sql_mode!r} is not strict")
    return faults


@register(Tags.database)
def check_database(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """The same for `manage.py check --database default` and `migrate`."""
    return [Error(fault, id="exchange.E001") for fault in database_faults()] if databases else []
