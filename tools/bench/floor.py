"""The floor: the rows that a drain wrote, written again by bare multi-row SQL with no engine at all.

Every statement is prepared beforehand; only the database's own work is measured. The rows go to copies of the tables,
in as many transactions as the drain made, through the same driver.
"""

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db import connection, models, transaction
from tqdm import tqdm

from balances.models import Balance, LedgerEntry
from base.storage.bulk import Statement, execute, write_inserts, write_updates
from base.storage.literals import dialect
from core.money import to_units
from markets.models import Trade
from matching.settlement import EVENT_FIELDS, ORDER_FIELDS, TRADE_FIELDS
from orders.models import Order, OrderEvent

LEDGER_FIELDS = ("account", "currency", "kind", "amount", "reference", "created_at")
BALANCE_FIELDS = ("available", "frozen", "updated_at")
TABLES = ("orders", "trades", "ledger_entries", "order_events", "balances")

Rows = list[tuple[Any, ...]]


def write_again(symbol: str, batches: int) -> float:
    """Seconds that the bare statements for the market's rows take in so many transactions."""
    prepared = _statements(symbol, batches)
    _copy_tables(symbol)
    began = time.perf_counter()
    for statements in tqdm(prepared, desc="the floor: bare SQL", unit="batch", leave=False):
        with transaction.atomic():
            execute(statements)
    return time.perf_counter() - began


def _statements(symbol: str, batches: int) -> list[list[Statement]]:
    events = _rows(OrderEvent, EVENT_FIELDS, market_id=symbol)
    trades = _rows(Trade, TRADE_FIELDS, market_id=symbol)
    ledger = _rows(LedgerEntry, LEDGER_FIELDS, reference__startswith=f"trade:{symbol}-")
    orders = {row[0]: row for row in _rows(Order, ("id", *ORDER_FIELDS), market_id=symbol)}
    balances = _rows(Balance, ("id", "user", *BALANCE_FIELDS))
    return [
        _batch(
            _share(events, turn, batches),
            _share(trades, turn, batches),
            _share(ledger, turn, batches),
            orders,
            balances,
        )
        for turn in range(batches)
    ]


def _batch(events: Rows, trades: Rows, ledger: Rows, orders: dict[int, Any], balances: Rows) -> list[Statement]:
    order_ids = dict.fromkeys(row[EVENT_FIELDS.index("order")] for row in events)
    users = {row[EVENT_FIELDS.index("user")] for row in events}
    touched = [(row[0], *row[2:]) for row in balances if row[1] in users]
    to = dialect()
    statements = [
        *write_updates(to, Balance, key="id", guards=(), fields=BALANCE_FIELDS, rows=touched),
        *write_updates(to, Order, key="id", guards=(), fields=ORDER_FIELDS, rows=[orders[each] for each in order_ids]),
        *write_inserts(to, Trade, TRADE_FIELDS, trades),
        *write_inserts(to, LedgerEntry, LEDGER_FIELDS, ledger),
        *write_inserts(to, OrderEvent, EVENT_FIELDS, events),
    ]
    return [_to_copy(statement) for statement in statements]


def _to_copy(statement: Statement) -> Statement:
    copy = f"`floor_{statement.table.strip('`')}`"
    return statement._replace(sql=statement.sql.replace(statement.table, copy, 1))


def _copy_tables(symbol: str) -> None:
    """Empty copies, but for what is updated: orders as they wait, and balances."""
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"DROP TABLE IF EXISTS floor_{table}")
            cursor.execute(f"CREATE TABLE floor_{table} LIKE {table}")
        cursor.execute("INSERT INTO floor_balances SELECT * FROM balances")
        cursor.execute("INSERT INTO floor_orders SELECT * FROM orders WHERE market_id = %s", [symbol])
        cursor.execute(
            "UPDATE floor_orders SET status = 'PENDING', phase = 'TAKING', sequence = NULL, filled_quantity = 0,"
            " closed_at = NULL"
        )


def _rows(model: type[models.Model], fields: Sequence[str], **chosen: Any) -> Rows:
    """Rows as the engine gives them to its statements: amounts in units."""
    found = model._default_manager.filter(**chosen).order_by("pk").values_list(*fields)
    return [tuple(to_units(value) if isinstance(value, Decimal) else value for value in row) for row in found]


def _share(rows: Rows, turn: int, turns: int) -> Rows:
    return rows[len(rows) * turn // turns : len(rows) * (turn + 1) // turns]
