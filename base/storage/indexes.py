"""Keys that are walked along an index which is named, because the database might walk another.

Where a query has a LIMIT, MySQL may rather read the table in the order of its key until it happens on enough rows. Of a
user whose rows are all old, that is the whole table.
"""

from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)


def along_index(rows: QuerySet[Any, Any], index: str) -> tuple[str, tuple[Any, ...]]:
    """The statement of the query and its values, with the index named where a hint is needed: on MySQL and MariaDB."""
    sql, values = rows.query.sql_with_params()
    if connection.vendor == "mysql" and index:
        quoted = connection.ops.quote_name
        table = f" FROM {quoted(rows.model._meta.db_table)} "
        assert sql.count(table) == 1, sql
        sql = sql.replace(table, f"{table}FORCE INDEX ({quoted(index)}) ")
    return sql, tuple(values)


def fetch_rows(rows: QuerySet[M], index: str) -> list[M]:
    """What the query finds along the index."""
    return list(rows.model._default_manager.raw(*along_index(rows, index)))


def fetch_keys(rows: QuerySet[Any, Any], index: str) -> list[int]:
    """What a query for keys alone finds along the index."""
    with connection.cursor() as cursor:
        cursor.execute(*along_index(rows, index))
        return [int(key) for (key,) in cursor.fetchall()]
