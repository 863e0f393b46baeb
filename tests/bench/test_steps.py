"""The measures run, small: each gives its rows, and leaves an exchange of which every rule holds."""

import pytest
from django.db import connection

from balances.models import LedgerEntry
from markets.models import Trade
from matching.models import OrderBook
from orders.models import Order, OrderEvent
from tests.support.sampling import sample
from tools.bench import drains
from tools.bench.bench import Bench
from tools.bench.engine import measure
from tools.bench.floor import TODAY, write_again
from tools.bench.history import give_history
from tools.bench.old_floor import OLD
from tools.bench.old_rows import OldEntry, OldEvent, OldOrder, OldTrade
from tools.bench.report import Report
from tools.bench.stage import Stage

# Divides how much is measured.
SMALL = 500
# Those whose orders all came by a command: of the others the audit would miss the events.
ROWS = {"drain": 7, "sizes": 3, "profile": 0}
COMMANDS, TURNS = 60, 4


@pytest.fixture
def bare_tables(transactional_db):
    """Tables of the floors, which go with the test."""
    if connection.vendor != "mysql":
        pytest.skip("the benchmark runs on MySQL and MariaDB")
    yield
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
            " AND (table_name LIKE 'floor\\_%' OR table_name LIKE 'old\\_%')"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"DROP TABLE {table}")


@pytest.mark.parametrize("step", sample(ROWS, 2, "steps of the benchmark"))
def test_a_step_gives_its_rows(bare_tables, step):
    bench = Bench(Report("a database"), SMALL)
    getattr(drains, step)(bench)
    assert len(bench.report.rows) == ROWS[step]
    assert all(row.figure > 0 for row in bench.report.rows)
    assert ("INSERT trades" in bench.report.profile) == (step == "profile")


def test_the_floors_write_what_the_drain_wrote(bare_tables):
    stage = Stage("BTC-USD")
    drained = measure(stage, COMMANDS, "drain")
    assert drained.trades > 0
    for form in (TODAY, OLD):
        assert write_again(stage.symbol, TURNS, form, "floor").seconds > 0

    trades, events = Trade.objects.all(), OrderEvent.objects.all()
    assert [count(f"floor_{table}") for table in ("trades", "order_events", "ledger_entries")] == [
        trades.count(),
        events.count(),
        LedgerEntry.objects.filter(reference__startswith="trade:").count(),
    ]
    fields = ("sequence", "buyer_id", "seller_id", "price", "quantity", "buyer_fee")
    assert list(OldTrade.objects.order_by("sequence").values_list(*fields)) == list(
        trades.order_by("sequence").values_list(*fields)
    )
    fields = ("sequence", "order_id", "user_id", "status", "trade_sequence")
    assert list(OldEvent.objects.order_by("sequence").values_list(*fields)) == list(
        events.order_by("sequence").values_list(*fields)
    )
    fields = ("id", "status", "phase", "filled_quantity", "frozen")
    assert list(OldOrder.objects.order_by("id").values_list(*fields)) == list(
        Order.objects.order_by("id").values_list(*fields)
    )
    for reference in OldEntry.objects.values_list("reference", flat=True).distinct():
        moved = OldEntry.objects.filter(reference=reference).values_list("currency", "amount")
        assert {sum(amount for each, amount in moved if each == asset) for asset in ("BTC", "USD")} == {0}


def test_a_past_has_so_many_orders_and_trades(bare_tables):
    young, old = Stage("BTC-USD-YOUNG"), Stage("BTC-USD-OLD")
    measure(young, COMMANDS, "no past")
    give_history(old, young, 300, at_once=200)
    assert Order.objects.filter(market=old.market, phase="CLOSED", user_id__in=old.users).count() == 300
    assert Trade.objects.filter(market=old.market).count() == 300
    assert OrderBook.objects.get(market=old.market).next_sequence == 301
    # It has no events and no entries, which the audit would miss.
    for rows in (Trade, Order, OrderBook):
        rows.objects.filter(market=old.market).delete()


def count(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {table}")
        return int(cursor.fetchone()[0])
