"""A long past: copies of a closed order and of a trade, put into the tables by the database itself."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from django.db import connection, models
from tqdm import tqdm

from core.types import Status
from markets.models import Trade
from matching.models import OrderBook
from orders.models import Order
from tools.bench.stage import Stage

ROWS_AT_ONCE = 50_000

_NUMBERS = " CROSS JOIN ".join(
    f"(SELECT 0 AS d{place} UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL"
    " SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
    f" AS t{place}"
    for place in range(5)
)
_PRICE = "90 + n %% 2000 / 100"
_NUMBER = "d0 + 10 * d1 + 100 * d2 + 1000 * d3 + 10000 * d4"


def give_history(stage: Stage, copied: Stage, rows: int, at_once: int = ROWS_AT_ONCE) -> None:
    """So many closed orders and as many trades of the stage's market, before anything else happens there.

    They are copies of a filled order and of a trade of another stage, with numbers, users and prices of their own.
    """
    order = {**_row(Order.objects.filter(market=copied.market, status=Status.FILLED)), "market_id": stage.symbol}
    trade = {**_row(Trade.objects.filter(market=copied.market)), "market_id": stage.symbol}
    copies = ((Order, order, partial(_orders, stage)), (Trade, trade, partial(_trades, stage)))
    with tqdm(total=2 * rows, desc=f"a past of {rows:,} orders and trades", unit="row", leave=False) as bar:
        # Beside each other, because one connection keeps one core busy.
        with ThreadPoolExecutor(len(copies)) as pool:
            tasks = [
                pool.submit(_copy, model, fixed, numbered, rows, at_once, bar.update)
                for model, fixed, numbered in copies
            ]
        for task in tasks:
            task.result()
    stage.keys += rows
    OrderBook.objects.update_or_create(market=stage.market, defaults={"next_sequence": rows + 1})


def _orders(stage: Stage, start: int) -> dict[str, str]:
    """What is another in each copy of the order: columns, and SQL with the number n of the copy."""
    return {
        "id": f"{stage.first_id + start} + n",
        "user_id": _user(stage, 0),
        "side": "IF(n %% 2, 'BUY', 'SELL')",
        "price": _PRICE,
        "sequence": f"{start + 1} + n",
        "correlation_id": f"LPAD(HEX({start} + n), 32, '0')",
    }


def _trades(stage: Stage, start: int) -> dict[str, str]:
    return {
        "sequence": f"{start + 1} + n",
        "buy_order_id": f"{stage.first_id + start} + n",
        "sell_order_id": f"{stage.first_id + start} + n",
        "buyer_id": _user(stage, 0),
        "seller_id": _user(stage, 1),
        "price": _PRICE,
    }


def _user(stage: Stage, first: int) -> str:
    """One after the other, from this one on."""
    return f"{stage.users[first]} + n %% {len(stage.users) - first}"


def _copy(
    model: type[models.Model],
    fixed: Mapping[str, Any],
    numbered: Callable[[int], Mapping[str, str]],
    rows: int,
    at_once: int,
    progress: Callable[[int], object],
) -> None:
    try:
        with connection.cursor() as cursor:
            # What is put there is no part of the measure: it need not be logged for replicas.
            cursor.execute("SET SESSION sql_log_bin = 0")
            for start in range(0, rows, at_once):
                count = min(at_once, rows - start)
                cursor.execute(*_statement(model, fixed, numbered(start), count))
                progress(count)
    finally:
        # With it goes the session's setting.
        connection.close()


def _statement(
    model: type[models.Model], fixed: Mapping[str, Any], numbered: Mapping[str, str], count: int
) -> tuple[str, list[Any]]:
    columns = list({**fixed, **numbered})
    selected = ", ".join(numbered.get(column, "%s") for column in columns)
    sql = (
        f"INSERT INTO {model._meta.db_table} ({', '.join(f'`{column}`' for column in columns)}) SELECT {selected}"  # noqa: S608
        f" FROM (SELECT {_NUMBER} AS n FROM {_NUMBERS}) AS numbers WHERE n < {count:d}"
    )
    return sql, [fixed[column] for column in columns if column not in numbered]


def _row(found: "models.QuerySet[Any]") -> dict[str, Any]:
    """A row by its columns, without an id that the database gives."""
    row = found[0]
    fields = [field for field in row._meta.concrete_fields if not isinstance(field, models.AutoField)]
    return {field.column: getattr(row, field.attname) for field in fields}
