"""Many rows in one statement, on MySQL, MariaDB and SQLite: inserts and guarded updates that build no model instance.

A statement is first written, which needs no connection and may happen in another thread, and then executed.

Values stand in the statement as literals. Each is written by the kind of its column: a number as digits, an instant by
Django's own adapter, a text only if it is a word of letters, digits and a few marks. So nothing needs escaping, and
nothing that would could ever pass.
"""

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from django.db import IntegrityError, connection, models

from base.storage.fields import AmountField, TurnoverField
from core.money import UNIT

# Of larger statements the server parses each row more slowly: their values no longer fit its caches.
ROWS_PER_STATEMENT = 250

# MySQL's number for a NULL in a column that takes none.
_NULL_REFUSED = 1048
_WORD = re.compile(r"[A-Za-z0-9 ._:@+-]*", re.ASCII)

T = TypeVar("T")
Rows = Sequence[Sequence[Any]]


class GuardFailed(Exception):
    """A row was not as it was believed to be: somebody else changed it. The transaction must be thrown away."""


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


@dataclass(frozen=True)
class Dialect:
    """What writing a statement needs to know of the database."""

    name: str
    connection: Any

    @property
    def is_sqlite(self) -> bool:
        return self.name == "sqlite"


class Statement(NamedTuple):
    """A statement that must match exactly so many rows of its table."""

    sql: str
    table: str
    rows: int


def dialect() -> Dialect:
    """The dialect of this thread's connection."""
    is_mariadb = connection.vendor == "mysql" and connection.mysql_is_mariadb  # type: ignore[attr-defined]
    return Dialect("mariadb" if is_mariadb else connection.vendor, connection)


def write_inserts(to: Dialect, model: type[models.Model], fields: Sequence[str], rows: Rows) -> list[Statement]:
    """Insert rows of values for `fields`, in this order. Amounts are given in units, texts must be plain words."""
    columns = _columns(model, tuple(fields))
    table = _quoted(model._meta.db_table)
    head = f"INSERT INTO {table} ({', '.join(map(_name, columns))}) VALUES "  # noqa: S608
    return [Statement(head + ", ".join(_tuples(to, columns, chunk)), table, len(chunk)) for chunk in _chunks(rows)]


def write_updates(
    to: Dialect, model: type[models.Model], *, key: str, guards: Sequence[str], fields: Sequence[str], rows: Rows
) -> list[Statement]:
    """Set `fields` in every row found by `key` whose `guards` still have the values given.

    Each of `rows` holds the key's value, the guards' values and the fields' new values, in this order; amounts are
    given in units, texts must be plain words.
    """
    conditions, assigned = _columns(model, (key, *guards)), _columns(model, tuple(fields))
    table = _quoted(model._meta.db_table)
    write = _UPDATES[to.name]
    written = ((_tuples(to, [*conditions, *assigned], chunk), len(chunk)) for chunk in _chunks(rows))
    return [Statement(write(table, conditions, assigned, tuples), table, count) for tuples, count in written]


def write_deletes(model: type[models.Model], ids: Sequence[int]) -> list[Statement]:
    """Delete the rows of those ids."""
    table = _quoted(model._meta.db_table)
    head = f"DELETE FROM {table} WHERE id IN "  # noqa: S608
    return [Statement(f"{head}({', '.join(map(_digits, chunk))})", table, len(chunk)) for chunk in _chunks(ids)]


def execute(statements: Iterable[Statement]) -> None:
    """Raises GuardFailed unless every row was matched (Django asks MySQL for matched rows, not for changed ones)."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.sql)
            if cursor.rowcount != statement.rows:
                raise GuardFailed(f"{statement.table}: {cursor.rowcount} of {statement.rows} rows were as expected")


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


def _mysql_update(table: str, conditions: list[Any], assigned: list[Any], tuples: list[str]) -> str:
    """The values come first and the table is looked up by its key, whatever the optimizer thinks of a small table."""
    names = _given(conditions, assigned)
    rows = ", ".join(f"ROW{values}" for values in tuples)
    return f"UPDATE (VALUES {rows}) AS v ({', '.join(names)}) STRAIGHT_JOIN {_joined(table, conditions, assigned)}"


def _mariadb_update(table: str, conditions: list[Any], assigned: list[Any], tuples: list[str]) -> str:
    names = ", ".join(_given(conditions, assigned))
    values = f"(WITH given ({names}) AS (VALUES {', '.join(tuples)}) SELECT * FROM given) AS v"  # noqa: S608
    return f"UPDATE {values} STRAIGHT_JOIN {_joined(table, conditions, assigned)}"


def _joined(table: str, conditions: list[Any], assigned: list[Any]) -> str:
    # Texts from the statement and from the table may come in two collations; naming one avoids error 1267.
    on = " AND ".join(
        f"t.{_name(column)} = v.v{index}" + (" COLLATE utf8mb4_bin" if isinstance(column, models.CharField) else "")
        for index, column in enumerate(conditions)
    )
    changes = ", ".join(
        f"t.{_name(column)} = v.v{index}" for index, column in enumerate(assigned, start=len(conditions))
    )
    return f"{table} AS t FORCE INDEX (PRIMARY) ON {on} SET {changes}"


def _sqlite_update(table: str, conditions: list[Any], assigned: list[Any], tuples: list[str]) -> str:
    """The statement begins with UPDATE: Python's driver counts no rows for one that begins with WITH."""
    where = " AND ".join(f"{table}.{_name(column)} = v.column{index}" for index, column in enumerate(conditions, 1))
    changes = ", ".join(
        f"{_name(column)} = v.column{index}" for index, column in enumerate(assigned, len(conditions) + 1)
    )
    return f"UPDATE {table} SET {changes} FROM (VALUES {', '.join(tuples)}) AS v WHERE {where}"  # noqa: S608


_UPDATES: dict[str, Callable[[str, list[Any], list[Any], list[str]], str]] = {
    "mysql": _mysql_update,
    "mariadb": _mariadb_update,
    "sqlite": _sqlite_update,
}


def _given(conditions: list[Any], assigned: list[Any]) -> list[str]:
    return [f"v{index}" for index in range(len(conditions) + len(assigned))]


def _tuples(to: Dialect, columns: Sequence[Any], rows: Rows) -> list[str]:
    """Each row as "(1, 'OPEN', 0.50000000)", written column by column."""
    written = [
        map(_writer(to, column), values) for column, values in zip(columns, zip(*rows, strict=True), strict=True)
    ]
    return ["(" + ", ".join(values) + ")" for values in zip(*written, strict=True)]


def _writer(to: Dialect, column: Any) -> Callable[[Any], str]:
    """How the values of a column are written."""
    if isinstance(column, AmountField):
        if not to.is_sqlite:
            return _decimal
        return _turnover if isinstance(column, TurnoverField) else _digits
    if isinstance(column, models.BooleanField):
        return _Written(lambda value: "1" if value else "0").__getitem__
    if isinstance(column, models.IntegerField):
        return _digits
    if isinstance(column, models.DateTimeField):
        return _Written(lambda value: f"'{to.connection.ops.adapt_datetimefield_value(value)}'").__getitem__
    assert isinstance(column, models.CharField), f"{column} is of a kind that has no literals here"
    return _Written(_word).__getitem__


class _Written(dict[Any, str]):
    """The literals of a column whose values repeat, each made once."""

    def __init__(self, write: Callable[[Any], str]) -> None:
        super().__init__({None: "NULL"})
        self.write = write

    def __missing__(self, value: Any) -> str:
        literal = self[value] = self.write(value)
        return literal


def _digits(value: int | None) -> str:
    return "NULL" if value is None else f"{value:d}"


def _decimal(units: int | None) -> str:
    """An amount for a DECIMAL column."""
    if units is None:
        return "NULL"
    return f"{units // UNIT}.{units % UNIT:08d}" if units >= 0 else f"-{_decimal(-units)}"


def _turnover(units: int | None) -> str:
    """A turnover for SQLite, which keeps it as a text."""
    return "NULL" if units is None else f"'{_decimal(units)}'"


def _word(text: str) -> str:
    """Raises ValueError for a text that could be anything but a word."""
    if not _WORD.fullmatch(text):
        raise ValueError(f"{text!r} is not a plain word")
    return f"'{text}'"


@functools.cache
def _columns(model: type[models.Model], names: tuple[str, ...]) -> list[Any]:
    return [_column(model._meta.get_field(name)) for name in names]


def _column(field: Any) -> Any:
    """Of a foreign key: a field of the kind that it points to, under its own column's name."""
    if not field.is_relation:
        return field
    target = field.target_field.clone()
    target.column = field.column
    return target


def _chunks(rows: Sequence[T]) -> Iterable[Sequence[T]]:
    return (rows[start : start + ROWS_PER_STATEMENT] for start in range(0, len(rows), ROWS_PER_STATEMENT))


def _quoted(name: str) -> str:
    # SQLite knows MySQL's quotes as well.
    return f"`{name}`"


def _name(column: Any) -> str:
    return _quoted(column.column)


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in their order, in lists of at most `size`. (Python has its own from 3.12.)"""
    rest = iter(items)
    while batch := list(itertools.islice(rest, size)):
        yield batch
