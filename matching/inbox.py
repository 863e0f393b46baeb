"""The inbox of a market: the commands that wait for its worker, in order, each NEW one with its order."""

from collections.abc import Iterable
from typing import Any

from django.db import connection

from core.types import CommandKind, PendingCommand
from matching import books

_SELECT = (
    f"SELECT c.id, c.kind, c.order_id, {books.columns('o')} FROM commands c"  # noqa: S608
    " LEFT JOIN orders o ON c.kind = 'NEW' AND o.id = c.order_id WHERE c.market_id = %s"
)


# A command with the columns of its order, as the driver gives them; `parse_commands` takes these rows.
Row = tuple[Any, ...]


def read_inbox(symbol: str, limit: int, unfinished_order_id: int | None = None) -> list[Row]:
    """The next commands: first that of the unfinished taker, then by id. Read without locks, under the book's lock.

    Ids do not commit in order: a command with a smaller id may appear between two transactions of one taker, and must
    not overtake it. Raises BrokenBook if the unfinished taker has no command.
    """
    if unfinished_order_id is None:
        return _read(f"{_SELECT} ORDER BY c.id LIMIT %s", symbol, limit)
    unfinished = _read(f"{_SELECT} AND c.kind = 'NEW' AND c.order_id = %s", symbol, unfinished_order_id)
    if len(unfinished) != 1:
        raise books.BrokenBook(f"order {unfinished_order_id} of {symbol} cannot go on: it has no command")
    others = f"{_SELECT} AND c.id <> %s ORDER BY c.id LIMIT %s"
    return [*unfinished, *_read(others, symbol, unfinished[0][0], limit - 1)]


def is_waiting(symbol: str) -> bool:
    """Whether the inbox has a command. Read without a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM commands WHERE market_id = %s LIMIT 1", (symbol,))
        return cursor.fetchone() is not None


def parse_commands(rows: Iterable[Row]) -> list[PendingCommand]:
    """The core's commands and orders. Apart from the reading, because the background thread does this part."""
    return [_parse(*row) for row in rows]


def _read(query: str, *parameters: int | str) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())


def _parse(command_id: int, kind: str, order_id: int, *columns: Any) -> PendingCommand:
    if kind != CommandKind.NEW:
        return PendingCommand(command_id, kind, order_id, None)
    assert columns[0] is not None, f"command {command_id} names order {order_id}, which does not exist"
    return PendingCommand(command_id, kind, order_id, books.core_order(columns))
