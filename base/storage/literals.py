"""Values as literals of SQL, written by the kind of their column.

A number is written as digits, an instant by Django's own adapter, a text only if it is a word of letters, digits and a
few marks. So nothing needs escaping, and nothing that would could ever pass.
"""

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, models

from base.storage.fields import AmountField, TurnoverField
from core.money import UNIT

_WORD = re.compile(r"[A-Za-z0-9 ._:@+-]*", re.ASCII)

Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Dialect:
    """What writing a statement needs to know of the database."""

    name: str
    connection: Any

    @property
    def is_sqlite(self) -> bool:
        return self.name == "sqlite"


def dialect() -> Dialect:
    """The dialect of this thread's connection."""
    is_mariadb = connection.vendor == "mysql" and connection.mysql_is_mariadb  # type: ignore[attr-defined]
    return Dialect("mariadb" if is_mariadb else connection.vendor, connection)


# How the values of a column are written; None for instants, which each connection writes in its own way.
Writes = Sequence[Callable[[Any], str] | None]


def tuples(to: Dialect, writes: Writes, rows: Rows) -> list[str]:
    """Each row as "(1, 'OPEN', 0.50000000)", written column by column. `writes` is what `writes_of` has."""
    instants = functools.partial(_instant, to.connection.ops)
    columns = zip((write or instants for write in writes), zip(*rows, strict=True), strict=True)
    is_one = len(rows) == 1
    written = [
        map(write if is_one or write in _NUMBERS else _Written(write).__getitem__, values) for write, values in columns
    ]
    return ["(" + ", ".join(values) + ")" for values in zip(*written, strict=True)]


def writes_of(columns: Iterable[Any], *, is_sqlite: bool) -> Writes:
    """By the kinds of the columns."""
    return [_write_of(column, is_sqlite) for column in columns]


def _write_of(column: Any, is_sqlite: bool) -> Callable[[Any], str] | None:
    if isinstance(column, AmountField):
        if not is_sqlite:
            return _decimal
        return _turnover if isinstance(column, TurnoverField) else digits
    if isinstance(column, models.BooleanField):
        return _flag
    if isinstance(column, models.IntegerField):
        return digits
    if isinstance(column, models.DateTimeField):
        return None
    assert isinstance(column, models.CharField), f"{column} is of a kind that has no literals here"
    return word


class _Written(dict[Any, str]):
    """The literals of a column whose values repeat, each made once."""

    def __init__(self, write: Callable[[Any], str]) -> None:
        super().__init__()
        self.write = write

    def __missing__(self, value: Any) -> str:
        literal = self[value] = self.write(value)
        return literal


def _flag(value: bool | None) -> str:
    return "NULL" if value is None else "1" if value else "0"


def _instant(ops: Any, value: datetime | None) -> str:
    return "NULL" if value is None else f"'{ops.adapt_datetimefield_value(value)}'"


def digits(value: int | None) -> str:
    return "NULL" if value is None else f"{value:d}"


def _decimal(units: int | None) -> str:
    """An amount for a DECIMAL column."""
    if units is None:
        return "NULL"
    return f"{units // UNIT}.{units % UNIT:08d}" if units >= 0 else f"-{_decimal(-units)}"


def _turnover(units: int | None) -> str:
    """A turnover for SQLite, which keeps it as a text."""
    return "NULL" if units is None else f"'{_decimal(units)}'"


def word(text: str | None) -> str:
    """Raises ValueError for a text that could be anything but a word."""
    if text is None:
        return "NULL"
    if not _WORD.fullmatch(text):
        raise ValueError(f"{text!r} is not a plain word")
    return f"'{text}'"


# These seldom repeat.
_NUMBERS = (digits, _decimal, _turnover)


@functools.cache
def columns_of(model: type[models.Model], names: tuple[str, ...]) -> list[Any]:
    return [_column(model._meta.get_field(name)) for name in names]


def _column(field: Any) -> Any:
    """Of a foreign key: a field of the kind that it points to, under its own column's name."""
    if not field.is_relation:
        return field
    target = field.target_field.clone()
    target.column = field.column
    return target


def quoted(name: str) -> str:
    # SQLite knows MySQL's quotes as well.
    return f"`{name}`"


def name_of(column: Any) -> str:
    return quoted(column.column)
