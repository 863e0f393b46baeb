"""Storing new rows in one statement, each with its id, on MySQL, MariaDB and SQLite."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from exchange.amounts import AmountField


def insert_rows(model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[int]:
    """Store new rows in the order given, by one INSERT in the caller's transaction, and return their ids.

    Each row holds the values of the fields named. MySQL tells the first row's id only. Django's `bulk_create` asks each
    field of each row for its default, its expression and its conversion; no row here has any use for that.
    """
    # The connection itself: each look through Django's proxy costs as much as converting a value.
    database = connections[DEFAULT_DB_ALIAS]
    fields = [model._meta.get_field(name) for name in names]
    converters = [(place, _converter(field, database)) for place, field in enumerate(fields) if _is_converted(field)]
    parameters: list[Any] = []
    count = 0
    for row in rows:
        values = list(row)
        for place, convert in converters:
            if values[place] is not None:
                values[place] = convert(values[place])
        parameters += values
        count += 1
    with database.cursor() as cursor:
        cursor.execute(_statement(model, fields, count, database), parameters)
        if database.features.can_return_rows_from_bulk_insert:
            return [row_id for (row_id,) in cursor.fetchall()]
        return [cursor.lastrowid]


def _is_converted(field: Any) -> bool:
    """Whether a value has another form in the database. Texts, whole numbers and flags go as they are."""
    return isinstance(field, AmountField | models.DateTimeField)


def _converter(field: Any, database: BaseDatabaseWrapper) -> Callable[[Any], Any]:
    convert = partial(field.get_db_prep_save, connection=database)
    # The rows of a batch share their instant.
    return cache(convert) if isinstance(field, models.DateTimeField) else convert


def _statement(model: type[models.Model], fields: Sequence[Any], count: int, database: BaseDatabaseWrapper) -> str:
    quote = database.ops.quote_name
    columns = ", ".join(quote(field.column) for field in fields)
    places = f"({', '.join(['%s'] * len(fields))})"
    returning = " RETURNING id" if database.features.can_return_rows_from_bulk_insert else ""
    table = quote(model._meta.db_table)
    return f"INSERT INTO {table} ({columns}) VALUES {', '.join([places] * count)}{returning}"  # noqa: S608
