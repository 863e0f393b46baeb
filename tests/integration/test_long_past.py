"""What is asked again and again reads no more of the tables when the past is long."""

from decimal import Decimal

import pytest
from django.db import connection
from django.utils import timezone

from marketdata.depth import read_bests
from marketdata.tape import last_trades, read_tickers
from markets import marks, volumes
from markets.models import Mark, Market, Trade
from markets.services import create_market
from orders import catch_up
from orders.models import Order, OrderEvent
from tests.integration.test_open_orders import rows_read
from tests.support.world import World

LONG = 2_000
# Of two markets and a few rows, some of which are read twice.
FEW = 120


def copies(row, **numbered: int) -> list:
    """So many rows as the given one, whose numbered fields count on from these."""
    values = {field.attname: getattr(row, field.attname) for field in row._meta.fields if not field.primary_key}
    return [
        type(row)(**{**values, **{name: first + number for name, first in numbered.items()}}) for number in range(LONG)
    ]


@pytest.fixture
def past(transactional_db, world: World) -> World:
    """Two markets with a long past, whose rows do not stand for any money. ANALYZE ends a transaction."""
    if connection.vendor != "mysql":
        pytest.skip("only MySQL and MariaDB tell how many rows a statement read")
    create_market(symbol="BTC-EUR", base="BTC", quote="EUR", tick_size=Decimal("0.01"), lot_size=Decimal("0.0001"))
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.alice, "buy 0.5 @ 100")
    trade, event, order = Trade.objects.get(), OrderEvent.objects.latest("sequence"), Order.objects.first()
    for symbol in ("BTC-USD", "BTC-EUR"):
        for row in (trade, event, order):
            row.market_id = symbol
        Trade.objects.bulk_create(copies(trade, sequence=100))
        OrderEvent.objects.bulk_create(copies(event, sequence=100))
        Mark.objects.bulk_create(
            Mark(market_id=symbol, asset_id="BTC", sequence=100 + number, price=1) for number in range(LONG)
        )
        order.client_order_id, order.phase = None, "RESTING"
        Order.objects.bulk_create(copies(order, price=200, sequence=100))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE TABLE trades, order_events, orders, marks")
        cursor.fetchall()
    yield world
    for model in (Mark, Trade, OrderEvent, Order):
        model.objects.filter(sequence__gte=100).delete()
    Market.objects.filter(pk="BTC-EUR").delete()


@pytest.mark.dialect
def test_what_is_asked_often_reads_a_few_rows_of_a_long_past(past: World) -> None:
    symbols, user_id = ["BTC-EUR", "BTC-USD"], past.alice.user.id
    asked = {
        "where the streams are": catch_up.current_position,
        "where a user's stream is": lambda: catch_up.newest_numbers(user_id),
        "a user's first events": lambda: catch_up._first_of(OrderEvent.objects.latest("pk").user_id, symbols),
        "last trades": lambda: last_trades(symbols),
        "tickers": lambda: read_tickers(symbols, timezone.now()),
        "last prices": lambda: marks.last_prices(symbols),
        "first prices": lambda: marks.first_prices(symbols),
        "what is to be counted": lambda: volumes._worths("USD"),
        "best prices": lambda: read_bests(symbols),
        "old marks": lambda: marks.marks_at("BTC-EUR", "BTC", range(100, 110)),
    }
    read = {}
    for what, ask in asked.items():
        before = rows_read()
        ask()
        read[what] = rows_read() - before
    assert {what: rows for what, rows in read.items() if rows > FEW} == {}
