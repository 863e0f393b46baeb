"""Keys that are walked and rows that are locked along an index which is named: the database might take another.

Where a query has a LIMIT, MySQL may rather read the table in the order of its key until it happens on enough rows. Of a
user whose rows are all old, that is the whole table.
"""

from collections.abc import Collection
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet, Subquery

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


def first_along(rows: QuerySet[Any, Any], column: str, *index: str, backwards: bool = False) -> Subquery:
    """The column of the first row along the index, or backwards of the last one, as a subquery of a query.

    `index` names the index's fields from the first on, though the subquery gives values for some: ordered by the last
    alone, MySQL reads and sorts all rows that a subquery finds which depends on its query, a million for one.
    """
    order = [f"-{field}" if backwards else field for field in index]
    return Subquery(rows.order_by(*order).values(column)[:1])


def lock_pairs(
    table: str, index: str, pair: tuple[str, str], columns: str, keys: Collection[tuple[Any, Any]]
) -> list[tuple[Any, ...]]:
    """The rows with these keys, as far as they exist: the pair and the columns of each, as the driver gives them.

    They are locked one after the other in the order of the unique index of the pair. The index is named and the keys
    are given in pairs, because MySQL would scan a small table instead. It would then lock in another order, which
    deadlocks with other markets, and wait for rows that are not among the keys.
    """
    if not keys:
        return []
    # SQLite locks no rows: there a transaction takes the lock of the whole database when it begins.
    is_sqlite = connection.vendor == "sqlite"
    hint, lock, values = ("", "", "VALUES ") if is_sqlite else (f"FORCE INDEX ({index})", "FOR UPDATE", "")
    names = ", ".join(pair)
    pairs = ", ".join(["(%s, %s)"] * len(keys))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {names}, {columns} FROM {table} {hint}"  # noqa: S608
            f" WHERE ({names}) IN ({values}{pairs}) ORDER BY {names} {lock}",
            [part for key in sorted(keys) for part in key],
        )
        return list(cursor.fetchall())
