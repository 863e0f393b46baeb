"""The floor: the rows that a drain wrote, written again by bare multi-row SQL with no engine at all.

Every statement is prepared beforehand, and goes to the driver itself; only the database's own work is measured. The
rows go to copies of the tables, in as many transactions as the drain made. Each transaction writes what a batch would:
the last state of the orders that have an event in it, the balances of who traded or cancelled, and the new rows.
"""

import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from django.db import connection, models
from tqdm import tqdm

from balances.models import Balance, LedgerEntry
from base.storage.bulk import write_inserts, write_updates
from base.storage.literals import dialect
from base.storage.statements import Statement
from core.money import to_units
from core.types import Status
from markets.models import Market, Trade
from matching.settlement import EVENT_FIELDS, ORDER_FIELDS, TRADE_FIELDS
from orders.models import Order, OrderEvent
from tools.bench.cpu import Spent, read_spent

LEDGER_FIELDS = ("account", "currency", "kind", "amount", "reference", "created_at")
BALANCE_FIELDS = ("available", "frozen", "updated_at")
TABLES = ("orders", "trades", "ledger_entries", "order_events", "balances")

Rows = list[tuple[Any, ...]]


class Form(Protocol):
    """What the rows look like."""

    def make_tables(self, symbol: str) -> None:
        """Empty tables, except those of what is updated: orders as they wait, and balances."""
        ...

    def batches(self, symbol: str, turns: int) -> list[list[Statement]]:
        """The statements for the market's rows, in so many transactions."""
        ...


class Written(NamedTuple):
    """What the bare statements took."""

    seconds: float
    spent: Spent


def write_again(symbol: str, turns: int, form: Form, label: str) -> Written:
    """Write the market's rows once more, by bare statements in so many transactions."""
    prepared = form.batches(symbol, turns)
    form.make_tables(symbol)
    connection.ensure_connection()
    driver = connection.connection
    assert driver is not None
    driver.autocommit(False)
    try:
        before, began = read_spent(), time.perf_counter()
        for statements in tqdm(prepared, desc=label, unit="batch", leave=False):
            _write(driver, statements)
        return Written(time.perf_counter() - began, read_spent().since(before))
    finally:
        driver.autocommit(True)


def _write(driver: Any, statements: Iterable[Statement]) -> None:
    cursor = driver.cursor()
    for statement in statements:
        cursor.execute(statement.sql)
        assert cursor.rowcount == statement.rows, f"{statement.table}: {cursor.rowcount} of {statement.rows} rows"
    driver.commit()


class Today:
    """The rows as the engine writes them."""

    def make_tables(self, symbol: str) -> None:
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

    def batches(self, symbol: str, turns: int) -> list[list[Statement]]:
        events = rows_of(OrderEvent, EVENT_FIELDS, market_id=symbol)
        trades = rows_of(Trade, TRADE_FIELDS, market_id=symbol)
        ledger = rows_of(LedgerEntry, LEDGER_FIELDS, reference__startswith=f"trade:{symbol}-")
        orders = {row[0]: row for row in rows_of(Order, ("id", *ORDER_FIELDS), market_id=symbol)}
        balances = Balances(symbol, BALANCE_FIELDS)
        user, order, status = map(EVENT_FIELDS.index, ("user", "order", "status"))
        buyer, seller = map(TRADE_FIELDS.index, ("buyer_id", "seller_id"))
        to, prepared = dialect(), []
        for turn in range(turns):
            steps, made = share(events, turn, turns), share(trades, turn, turns)
            traders = {row[at] for row in made for at in (buyer, seller)}
            cancelled = {row[user] for row in steps if row[status] == Status.CANCELLED}
            changed = [orders[each] for each in dict.fromkeys(row[order] for row in steps)]
            statements = [
                *write_updates(
                    to, Balance, key="id", guards=(), fields=BALANCE_FIELDS, rows=balances.of(traders, cancelled)
                ),
                *write_updates(to, Order, key="id", guards=(), fields=ORDER_FIELDS, rows=changed),
                *write_inserts(to, Trade, TRADE_FIELDS, made),
                *write_inserts(to, LedgerEntry, LEDGER_FIELDS, share(ledger, turn, turns)),
                *write_inserts(to, OrderEvent, EVENT_FIELDS, steps),
            ]
            prepared.append([_to_copy(statement) for statement in statements])
        return prepared


class Balances:
    """The balances of a market's two assets, as rows to be updated."""

    def __init__(self, symbol: str, fields: Sequence[str]) -> None:
        market = Market.objects.get(symbol=symbol)
        self.assets = (market.base_id, market.quote_id)
        found = rows_of(Balance, ("user", "currency", "id", *fields), currency__in=self.assets)
        self.rows = {(user, currency): row for user, currency, *row in found}

    def of(self, traders: Iterable[int], cancelled: Iterable[int]) -> Rows:
        """Both of who traded, and one of who cancelled, whose order froze only one."""
        both = {(user, asset) for user in traders for asset in self.assets}
        touched = both | {(user, self.assets[user % 2]) for user in cancelled}
        return [tuple(self.rows[each]) for each in sorted(touched)]


def rows_of(model: type[models.Model], fields: Sequence[str], **chosen: Any) -> Rows:
    """Rows as the engine gives them to its statements: amounts in units."""
    found = model._default_manager.filter(**chosen).order_by("pk").values_list(*fields)
    return [tuple(to_units(value) if isinstance(value, Decimal) else value for value in row) for row in found]


def share(rows: Rows, turn: int, turns: int) -> Rows:
    """The rows of one turn of so many."""
    return rows[len(rows) * turn // turns : len(rows) * (turn + 1) // turns]


def _to_copy(statement: Statement) -> Statement:
    copy = f"`floor_{statement.table.strip('`')}`"
    return statement._replace(sql=statement.sql.replace(statement.table, copy, 1))


TODAY = Today()
