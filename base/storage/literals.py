"""Values as literals of SQL, written by the kind of their column.

A number is written as digits, an instant by Django's own adapter, a text only if it is a word of letters, digits and a
few marks. So nothing needs escaping, and nothing that would could ever pass.
"""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


def tuples(to: Dialect, columns: Sequence[Any], rows: Rows) -> list[str]:
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
        return _turnover if isinstance(column, TurnoverField) else digits
    if isinstance(column, models.BooleanField):
        return _Written(lambda value: "1" if value else "0").__getitem__
    if isinstance(column, models.IntegerField):
        return digits
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


def _word(text: str) -> str:
    """Raises ValueError for a text that could be anything but a word."""
    if not _WORD.fullmatch(text):
        raise ValueError(f"{text!r} is not a plain word")
    return f"'{text}'"


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
