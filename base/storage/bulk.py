"""Many rows in one statement, on MySQL, MariaDB and SQLite: inserts and guarded updates that build no model instance.

A statement is first written, and then executed (`statements`).
"""

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from django.db import IntegrityError, connection, models

from base.storage.fields import TURNOVER_SUM, TurnoverField
from base.storage.literals import (
    Dialect,
    Rows,
    Writes,
    columns_of,
    dialect,
    digits,
    name_of,
    quoted,
    tuples,
    writes_of,
)
from base.storage.statements import Statement, execute

# Of larger statements the server parses each row more slowly: their values no longer fit its caches.
ROWS_PER_STATEMENT = 250

# MySQL's number for a NULL in a column that takes none.
_NULL_REFUSED = 1048

T = TypeVar("T")


class CheckFailed(Exception):
    """A row that a new one needs was not as its CheckedId demands. The transaction must be thrown away."""


class CheckedId(int):
    """An id that an insert writes as a query for it, which finds it only while its row keeps a condition.

    The query locks that row until the commit, so that the condition holds that long. Where it finds nothing, the id is
    NULL and `insert_for_ids` raises CheckFailed: a row is checked with no statement of its own.
    """

    query: str

    def __format__(self, _: str) -> str:
        return self.query


def checked_id(row_id: int, table: str, condition: str) -> CheckedId:
    """The id of a row of the table, to be inserted if the row keeps the condition."""
    checked = CheckedId(row_id)
    lock = "" if connection.vendor == "sqlite" else " LOCK IN SHARE MODE"
    checked.query = f"(SELECT id FROM {table} WHERE id = {row_id:d} AND {condition}{lock})"  # noqa: S608
    return checked


def write_inserts(to: Dialect, model: type[models.Model], fields: Sequence[str], rows: Rows) -> list[Statement]:
    """Insert rows of values for `fields`, in this order. Amounts are given in units, texts must be plain words."""
    head, table, writes = _insert(to.name, model, tuple(fields))
    return [Statement(head + ", ".join(tuples(to, writes, chunk)), table, len(chunk)) for chunk in chunks(rows)]


@functools.cache
def _insert(dialect_name: str, model: type[models.Model], fields: tuple[str, ...]) -> tuple[str, str, Writes]:
    """How the statement begins, its table, and how a row is written."""
    table, columns = quoted(model._meta.db_table), columns_of(model, fields)
    writes = writes_of(columns, is_sqlite=dialect_name == "sqlite")
    return f"INSERT INTO {table} ({', '.join(map(name_of, columns))}) VALUES ", table, writes  # noqa: S608


def write_updates(
    to: Dialect, model: type[models.Model], *, key: str, guards: Sequence[str], fields: Sequence[str], rows: Rows
) -> list[Statement]:
    """Set `fields` in every row found by `key` whose `guards` still have the values given.

    Each of `rows` holds the key's value, the guards' values and the fields' new values, in this order; amounts are
    given in units, texts must be plain words.
    """
    shape = _Shape(model, "PRIMARY", (key,), tuple(guards), (), tuple(fields))
    return [_write_update(to, shape, chunk) for chunk in chunks(rows)]


class Additions(NamedTuple):
    """What is done to the rows of a table that are found by `key`, whose unique index is named.

    To each number of `added` something is added (taken off, if it is negative), unless it would fall below zero;
    `assigned` are set; and `highest` are raised and `lowest` lowered to the given value, where it is higher or lower.
    """

    model: type[models.Model]
    unique_index: str
    key: tuple[str, ...]
    added: tuple[str, ...]
    assigned: tuple[str, ...] = ()
    highest: tuple[str, ...] = ()
    lowest: tuple[str, ...] = ()


def write_additions(to: Dialect, additions: Additions, rows: Rows) -> list[Statement]:
    """Each of `rows` holds the values in the order of the additions' fields. They are locked one after the other."""
    model, index, key, *changes = additions
    shape = _Shape(model, index, key, (), *changes)
    return [_write_update(to, shape, chunk) for chunk in chunks(rows)]


def write_deletes(model: type[models.Model], ids: Sequence[int]) -> list[Statement]:
    """Delete the rows of those ids."""
    table = quoted(model._meta.db_table)
    head = f"DELETE FROM {table} WHERE id IN "  # noqa: S608
    return [Statement(f"{head}({', '.join(map(digits, chunk))})", table, len(chunk)) for chunk in chunks(ids)]


def insert_for_ids(model: type[models.Model], fields: Sequence[str], rows: Rows) -> list[int]:
    """Insert rows by one statement and return their ids, in the order given. MySQL returns only the first id.

    Raises CheckFailed for a CheckedId whose row is not as it must be.
    """
    assert len(rows) <= ROWS_PER_STATEMENT, f"{len(rows)} rows need more than one statement"
    [statement] = write_inserts(dialect(), model, fields, rows)
    returns_all = connection.features.can_return_rows_from_bulk_insert
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"{statement.sql} RETURNING id" if returns_all else statement.sql)
        except IntegrityError as error:
            if _is_null_refused(error):
                raise CheckFailed(f"{statement.table}: {error}") from error
            raise
        return [row_id for (row_id,) in cursor.fetchall()] if returns_all else [cursor.lastrowid]


def _is_null_refused(error: IntegrityError) -> bool:
    return error.args[0] == _NULL_REFUSED or str(error).startswith("NOT NULL")


def stored_instant(instant: datetime) -> str:
    """An instant as this thread's database takes it in a statement of our own."""
    return str(connection.ops.adapt_datetimefield_value(instant))


def update_rows(
    model: type[models.Model], *, key: str, guards: Sequence[str], fields: Sequence[str], rows: Rows
) -> None:
    """Write the updates and execute them. Raises GuardFailed unless every row was matched."""
    execute(write_updates(dialect(), model, key=key, guards=guards, fields=fields, rows=rows))


class _Shape(NamedTuple):
    """What an update does with the values of a row, which are given in this order."""

    model: type[models.Model]
    # The unique one of the key.
    unique_index: str
    key: tuple[str, ...]
    # Equal to the values.
    guards: tuple[str, ...]
    # What the values are added to, if that does not fall below zero.
    added: tuple[str, ...]
    assigned: tuple[str, ...]
    # Of the value and what is stored the greater, or the lesser, is kept.
    highest: tuple[str, ...] = ()
    lowest: tuple[str, ...] = ()


@functools.cache
def _update(dialect_name: str, shape: _Shape) -> tuple[str, Writes]:
    """The statement with a place for its rows, and how a row is written."""
    kinds = (shape.key, shape.guards, shape.added, shape.assigned, shape.highest, shape.lowest)
    parts = [columns_of(shape.model, names) for names in kinds]
    columns = [column for part in parts for column in part]
    is_sqlite = dialect_name == "sqlite"
    writes = writes_of(columns, is_sqlite=is_sqlite)
    numbers = itertools.count(1 if is_sqlite else 0)
    prefix, value = ("", "v.column{}") if is_sqlite else ("t.", "v.v{}")
    key, guards, added, assigned, highest, lowest = (
        [(column, f"{prefix}{name_of(column)}", value.format(next(numbers))) for column in part] for part in parts
    )
    on = " AND ".join(
        [
            *(f"{name} = {given}" for _, name, given in key),
            *(f"{name} = {given}{_collation(column, dialect_name)}" for column, name, given in guards),
            # Not as a sum, because one below zero is an error in an unsigned column. A turnover only grows.
            *(f"{name} >= -{given}" for column, name, given in added if not isinstance(column, TurnoverField)),
        ]
    )
    greatest, least = ("MAX", "MIN") if is_sqlite else ("GREATEST", "LEAST")
    changes = ", ".join(
        [
            *(f"{name} = {_sum(column, name, given, is_sqlite=is_sqlite)}" for column, name, given in added),
            *(f"{name} = {given}" for _, name, given in assigned),
            *(f"{name} = {greatest}({name}, {given})" for _, name, given in highest),
            *(f"{name} = {least}({name}, {given})" for _, name, given in lowest),
        ]
    )
    table = quoted(shape.model._meta.db_table)
    if is_sqlite:
        # It begins with UPDATE, because Python's driver counts no rows for a statement that begins with WITH.
        return f"UPDATE {table} SET {changes} FROM (VALUES {{rows}}) AS v WHERE {on}", writes  # noqa: S608
    values = _GIVEN[dialect_name].format(names=", ".join(f"v{number}" for number in range(len(columns))))
    # The values come first and the table is looked up by its key, whatever the optimizer thinks of a small table.
    joined = f"STRAIGHT_JOIN {table} AS t FORCE INDEX ({shape.unique_index}) ON {on} SET {changes}"
    return f"UPDATE {values} {joined}", writes


_GIVEN = {
    "mysql": "(VALUES {{rows}}) AS v ({names})",
    "mariadb": "(WITH given ({names}) AS (VALUES {{rows}}) SELECT * FROM given) AS v",
}


def _sum(column: Any, name: str, given: str, *, is_sqlite: bool) -> str:
    is_text = is_sqlite and isinstance(column, TurnoverField)
    return f"{TURNOVER_SUM}({name}, {given})" if is_text else f"{name} + {given}"


def _collation(column: Any, dialect_name: str) -> str:
    """Texts from the statement and from the table may come in two collations; naming one avoids error 1267.

    A key needs none: its collation is binary, which wins, and another one would keep it from its index.
    """
    return " COLLATE utf8mb4_bin" if isinstance(column, models.CharField) and dialect_name != "sqlite" else ""


def _write_update(to: Dialect, shape: _Shape, rows: Rows) -> Statement:
    sql, writes = _update(to.name, shape)
    row = "ROW" if to.name == "mysql" else ""
    values = ", ".join(f"{row}{each}" for each in tuples(to, writes, rows))
    return Statement(sql.replace("{rows}", values, 1), quoted(shape.model._meta.db_table), len(rows))


def chunks(rows: Sequence[T]) -> Iterable[Sequence[T]]:
    return (rows[start : start + ROWS_PER_STATEMENT] for start in range(0, len(rows), ROWS_PER_STATEMENT))


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in their order, in lists of at most `size`. (Python has its own from 3.12.)"""
    rest = iter(items)
    while batch := list(itertools.islice(rest, size)):
        yield batch
