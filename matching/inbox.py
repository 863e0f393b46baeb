"""The inbox of a market: the commands that wait for its worker, in order, each NEW one with its order."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from core.kinds import EXPIRES_AT
from core.money import stored_units
from core.types import WITH_ORDER, CommandKind, PendingCommand
from matching import books, order_rows
from matching.books import BookRow

_KINDS = ", ".join(f"'{kind}'" for kind in WITH_ORDER)
_SELECT = (
    f"SELECT c.id, c.kind, c.order_id, c.data, c.reserved, {order_rows.columns('o')} FROM commands c"  # noqa: S608
    f" LEFT JOIN orders o ON c.kind IN ({_KINDS}) AND o.id = c.order_id WHERE c.market_id = %s"
)
_IS_WAITING = (
    "SELECT EXISTS(SELECT 1 FROM commands WHERE market_id = %s)"
    " OR EXISTS(SELECT 1 FROM order_books WHERE market_id = %s AND is_cascading = 1)"
)

_CASCADING = (
    "SELECT market_id FROM order_books b WHERE is_cascading = 1"
    " AND NOT EXISTS(SELECT 1 FROM commands c WHERE c.market_id = b.market_id)"
)

# A command with the columns of its order, as the driver gives them; `parse_commands` takes these rows.
Row = tuple[Any, ...]


def read_inbox(symbol: str, limit: int, row: BookRow | None = None) -> list[Row]:
    """The next commands: first that of what is unfinished, then those of triggered orders, then by id.

    Read without locks, under the lock of the book's `row` (None: nothing is unfinished). Ids do not commit in order: a
    command with a smaller id may appear between two transactions of one taker, and must not overtake it. Raises
    BrokenBook if what is unfinished has no command.
    """
    if row is None or not row.is_unfinished:
        return _read(f"{_SELECT} ORDER BY c.id LIMIT %s", symbol, limit)
    first = _unfinished(row) if row.unfinished_order_id or row.unfinished_command_id else []
    if row.is_cascading:
        triggered = f"{_SELECT} AND c.kind = 'TRIGGER' ORDER BY c.id LIMIT %s"
        known = {found[0] for found in first}
        first += [found for found in _read(triggered, symbol, limit) if found[0] not in known]
        if first:
            return first[:limit]
        # The last of them was given up.
        return _read(f"{_SELECT} ORDER BY c.id LIMIT %s", symbol, limit)
    others = f"{_SELECT} AND c.id <> %s ORDER BY c.id LIMIT %s"
    return [*first, *_read(others, symbol, first[0][0], limit - 1)]


def _unfinished(row: BookRow) -> list[Row]:
    """The command of what is unfinished.

    Only its order is stored of one that fired in the transaction that triggered it, and by an earlier version.
    """
    if row.unfinished_command_id is None:
        found = _read(
            f"{_SELECT} AND c.kind IN ('NEW', 'TRIGGER') AND c.order_id = %s", row.market_id, row.unfinished_order_id
        )
    else:
        found = _read(f"{_SELECT} AND c.id = %s", row.market_id, row.unfinished_command_id)
    if len(found) != 1:
        raise books.BrokenBook(f"order {row.unfinished_order_id} of {row.market_id} cannot go on: it has no command")
    return found


def is_waiting(symbol: str) -> bool:
    """Whether the inbox has a command, or stops may be due that have none yet. Read without a lock."""
    with connection.cursor() as cursor:
        cursor.execute(_IS_WAITING, (symbol, symbol))
        return bool(cursor.fetchone()[0])


def cascading() -> list[str]:
    """The markets in which stops may be due that have no commands yet: no bell rings for them."""
    with connection.cursor() as cursor:
        cursor.execute(_CASCADING)
        return [symbol for (symbol,) in cursor.fetchall()]


def parse_commands(rows: Iterable[Row], unfinished: int | None = None) -> list[PendingCommand]:
    """The core's commands and orders. Apart from the reading, because the background thread does this part.

    `unfinished` is the command of the unfinished taker.
    """
    commands = [_parse(*row) for row in rows]
    if unfinished is not None:
        commands = [command._replace(goes_on=command.id == unfinished) for command in commands]
    return commands


def _read(query: str, *parameters: int | str | None) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        rows = list(cursor.fetchall())
        if any(row[1] == CommandKind.OCO for row in rows):
            rows = _with_stop_legs(cursor, rows)
        return rows


def _with_stop_legs(cursor: Any, rows: list[Row]) -> list[Row]:
    """The rows, with the columns of its stop leg behind those of each OCO."""
    named = {row[0]: orjson.loads(row[3])["stop"] for row in rows if row[1] == CommandKind.OCO}
    places = ", ".join(["%s"] * len(named))
    cursor.execute(
        f"SELECT {order_rows.columns('o')} FROM orders o WHERE o.id IN ({places})",  # noqa: S608
        list(named.values()),
    )
    legs = {leg[0]: leg for leg in cursor.fetchall()}
    return [(*row, *legs[named[row[0]]]) if row[0] in named else row for row in rows]


def _parse(command_id: int, kind: str, order_id: int, data: Any, reserved: Any, *columns: Any) -> PendingCommand:
    if kind == CommandKind.NEW:
        # The most frequent one, which brings nothing along.
        assert columns[0] is not None, f"command {command_id} names order {order_id}, which does not exist"
        return PendingCommand(command_id, kind, order_id, order_rows.core_order(columns))
    assert columns[0] is not None or kind not in WITH_ORDER, (
        f"command {command_id} names order {order_id}, which does not exist"
    )
    width = len(order_rows.CORE_COLUMNS)
    order = order_rows.core_order(columns[:width]) if kind in WITH_ORDER else None
    stop = order_rows.core_order(columns[width:]) if kind == CommandKind.OCO else None
    details = None if data is None else _data(data)
    return PendingCommand(command_id, kind, order_id, order, details, stored_units(reserved), stop=stop)


def _data(text: str) -> dict[str, Any]:
    """What a command says. An instant is an instant of the core's order, which it replaces."""
    data: dict[str, Any] = orjson.loads(text)
    if EXPIRES_AT in data:
        data[EXPIRES_AT] = datetime.fromisoformat(data[EXPIRES_AT])
    return data
