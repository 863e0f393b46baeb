"""Guarded updates of many rows in one statement, on MySQL, MariaDB and SQLite."""

from collections.abc import Sequence
from typing import Any

from django.db import connection, models

ROWS_PER_STATEMENT = 500


class GuardFailed(Exception):
    """A row was not as it was believed to be: somebody else changed it. The transaction must be thrown away."""


def update_rows(
    model: type[models.Model],
    *,
    key: str,
    guards: Sequence[str],
    fields: Sequence[str],
    rows: Sequence[Sequence[Any]],
) -> None:
    """Set `fields` in every row found by `key` whose `guards` still have the values given.

    Each of `rows` holds the key's value, the guards' values and the fields' new values, in this order.
    Raises GuardFailed unless every row was matched (Django asks MySQL for matched rows, not for changed ones).
    """
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        chunk = rows[start : start + ROWS_PER_STATEMENT]
        matched = _update(model, (key, *guards), fields, chunk)
        if matched != len(chunk):
            raise GuardFailed(f"{model._meta.db_table}: {matched} of {len(chunk)} rows were as expected")


def _update(
    model: type[models.Model], conditions: Sequence[str], fields: Sequence[str], rows: Sequence[Sequence[Any]]
) -> int:
    columns: list[Any] = [model._meta.get_field(name) for name in (*conditions, *fields)]
    table = connection.ops.quote_name(model._meta.db_table)
    names = [connection.ops.quote_name(column.column) for column in columns]
    build = _sqlite_statement if connection.vendor == "sqlite" else _mysql_statement
    sql = build(table, names, columns, len(conditions), len(rows))
    parameters = [
        column.get_db_prep_save(value, connection) for row in rows for column, value in zip(columns, row, strict=True)
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)


def _mysql_statement(table: str, names: list[str], columns: list[Any], conditions: int, count: int) -> str:
    first = "SELECT " + ", ".join(f"%s AS v{index}" for index in range(len(names)))
    others = " UNION ALL SELECT " + ", ".join(["%s"] * len(names))
    on = " AND ".join(f"t.{names[index]} = v.v{index}{_collation(columns[index])}" for index in range(conditions))
    assign = ", ".join(f"t.{names[index]} = v.v{index}" for index in range(conditions, len(names)))
    return f"UPDATE {table} t JOIN ({first}{others * (count - 1)}) v ON {on} SET {assign}"  # noqa: S608


def _collation(column: Any) -> str:
    """Texts from the statement and from the table may come in two collations; naming one avoids error 1267."""
    return " COLLATE utf8mb4_bin" if isinstance(column, models.CharField) else ""


def _sqlite_statement(table: str, names: list[str], _columns: list[Any], conditions: int, count: int) -> str:
    """The statement begins with UPDATE: Python's driver counts no rows for one that begins with WITH."""
    values = "(" + ", ".join(["%s"] * len(names)) + ")"
    where = " AND ".join(f"{table}.{names[index]} = v.column{index + 1}" for index in range(conditions))
    assign = ", ".join(f"{names[index]} = v.column{index + 1}" for index in range(conditions, len(names)))
    return f"UPDATE {table} SET {assign} FROM (VALUES {', '.join([values] * count)}) AS v WHERE {where}"  # noqa: S608
