"""Statements that are written first and executed later, several of them in one round trip.

Writing needs no connection and may happen in another thread. Values stand in a statement as literals that contain no
semicolon (see `literals`), so statements can be joined by one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from django.db import connection

# Of one round trip. Literals are of ASCII letters, so as many bytes.
MOST_CHARACTERS = 1_000_000


class GuardFailed(Exception):
    """A row was not as it was believed to be: somebody else changed it. The transaction must be thrown away."""


class Statement(NamedTuple):
    """A statement that must match exactly so many rows of its table; None: as many as there are."""

    sql: str
    table: str
    rows: int | None


class Write(NamedTuple):
    """Statements of one purpose. Each must match its number of rows, unless there is something else to do about that.

    `then` is called with how many rows they have matched in all, after the statements of all writes were executed.
    """

    statements: Sequence[Statement]
    then: Callable[[int], None] | None = None


def execute(statements: Iterable[Statement]) -> None:
    """Raises GuardFailed unless every row was matched (Django asks MySQL for matched rows, not for changed ones)."""
    execute_together([Write(list(statements))])


def execute_some(statements: Iterable[Statement]) -> int:
    """Execute them, and return how many rows they have matched in all."""
    return sum(send(list(statements)))


def execute_together(writes: Sequence[Write]) -> None:
    """Execute all statements in their order, and then look at the rows that they have matched, in the same order.

    Raises GuardFailed as `execute` does, and what a write's `then` raises. The caller must roll its transaction back.
    """
    matched = iter(send([statement for write in writes for statement in write.statements]))
    for write in writes:
        if write.then is not None:
            write.then(sum(next(matched) for _ in write.statements))
            continue
        for statement in write.statements:
            rows = next(matched)
            if statement.rows is not None and rows != statement.rows:
                raise GuardFailed(f"{statement.table}: {rows} of {statement.rows} rows were as expected")


def read_rows(*queries: tuple[str, Sequence[Any]]) -> list[tuple[Any, ...] | None]:
    """The first row of each query, or None: in one round trip. A query begins when that before it has ended."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            return [cursor.execute(text, parameters).fetchone() for text, parameters in queries]
        texts, parameters = zip(*queries, strict=True)
        cursor.execute(";".join(texts), [*chain.from_iterable(parameters)])
        found = [cursor.fetchone()]
        while cursor.nextset():
            found.append(cursor.fetchone())
    assert len(found) == len(queries), f"{len(found)} answers to {len(queries)} queries"
    return found


def send(statements: Sequence[Statement]) -> list[int]:
    """Execute them, and return how many rows each has matched: by one round trip, but for SQLite, which has none."""
    if not statements:
        return []
    matched = []
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            return [cursor.execute(statement.sql).rowcount for statement in statements]
        for part in _parts(statements):
            cursor.execute(";".join(part))
            matched.append(cursor.rowcount)
            # The answer to a later statement, or its error, is read here.
            while cursor.nextset():
                matched.append(cursor.rowcount)
    assert len(matched) == len(statements), f"{len(matched)} answers to {len(statements)} statements"
    return matched


def _parts(statements: Iterable[Statement]) -> Iterator[list[str]]:
    """The texts, in parts that a server of any usual `max_allowed_packet` takes."""
    part: list[str] = []
    size = 0
    for statement in statements:
        if part and size + len(statement.sql) > MOST_CHARACTERS:
            yield part
            part, size = [], 0
        part.append(statement.sql)
        size += len(statement.sql) + 1
    yield part
