"""Lists: their pages, and the windows of time in which they are read."""

import itertools
import random
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from base.storage.time_search import made_between
from base.web import lists as lists_module
from core.types import Status
from orders.models import Order
from tests.integration.test_open_orders import rows_read
from tests.support.world import Person, World, fund

pytestmark = pytest.mark.dialect


@pytest.fixture
def traded(world: World) -> World:
    """Alice has bought four times of Bob."""
    for price in (100, 101, 102, 103):
        world.play(world.bob, f"sell 1 @ {price}")
        world.play(world.alice, f"buy 1 @ {price}")
    return world


def lists(world: World) -> list[str]:
    me = world.alice.user.id
    return ["/orders", f"/balances/{me}/USD/ledger", "/trades/BTC-USD"]


def read(who: Person, path: str, limit: int) -> list[dict]:
    """All pages."""
    rows, cursor = [], ""
    while cursor is not None:
        body = who.call("GET", f"{path}{'&' if '?' in path else '?'}limit={limit}{cursor and f'&cursor={cursor}'}").body
        rows += body["data"]
        cursor = body["nextCursor"]
    return rows


def test_pages_hold_every_row_once_newest_first(traded):
    for path in lists(traded):
        whole = traded.alice.get(path)
        assert len(whole) >= 4, path
        assert read(traded.alice, path, 1) == read(traded.alice, path, 3) == whole
        instants = [row["createdAt"] for row in whole]
        assert instants == sorted(instants, reverse=True)


def test_a_window_begins_with_its_start_and_ends_before_its_end(traded):
    for path in lists(traded):
        whole = traded.alice.get(path)
        for first in whole:
            for last in whole:
                start, end = first["createdAt"], last["createdAt"]
                meant = [row for row in whole if start <= row["createdAt"] < end]
                assert read(traded.alice, f"{path}?startTime={start}&endTime={end}", 2) == meant
        assert traded.alice.get(f"{path}?startTime={whole[0]['createdAt']}")[-1]["createdAt"] == whole[0]["createdAt"]


@pytest.mark.parametrize("name", ["startTime", "endTime"])
def test_a_time_that_is_none(traded, name):
    for path in lists(traded):
        refused = traded.alice.call("GET", f"{path}?{name}=yesterday")
        assert (refused.status_code, refused.body["error"], refused.body["data"]) == (
            *(400, "INVALID_TIME"),
            {"field": name},
        )


def test_times_in_milliseconds(traded):
    later = int((timezone.now() + timedelta(hours=1)).timestamp() * 1000)
    for path in lists(traded):
        assert traded.alice.get(f"{path}?startTime={later}") == []
        assert traded.alice.get(f"{path}?endTime={later}") == traded.alice.get(path)


def test_a_filter_and_a_window_go_together(traded):
    second = traded.alice.get("/orders")[2]["createdAt"]
    assert [order["price"] for order in traded.alice.get(f"/orders?side=BUY&startTime={second}")] == [
        "103",
        "102",
        "101",
    ]
    assert traded.alice.get(f"/orders?side=SELL&startTime={second}") == []


def test_a_page_looks_at_so_many_rows(world, monkeypatch):
    """Of what a filter leaves a page may have less than its limit; the pages together have all of it."""
    for price, side in ((1, "buy"), (2, "buy"), (200, "sell"), (3, "buy"), (4, "buy"), (5, "buy"), (6, "buy")):
        world.place(world.alice if side == "buy" else world.bob, f"{side} 0.1 @ {price}")
    fund(world.alice.user, BTC="1")
    world.place(world.alice, "sell 0.1 @ 300")
    for price in range(10, 20):
        world.place(world.alice, f"buy 0.1 @ {price}")
    world.match()
    whole = world.alice.get("/orders")
    monkeypatch.setattr(lists_module, "MOST_READ", 3)
    monkeypatch.setattr(lists_module, "READ_AT_ONCE", 2)
    for query in ("side=SELL", "side=BUY", "symbol=BTC-USD", "status=FILLED", "active=false", "status=CANCELLED"):
        name, _, value = query.partition("=")
        meant = [order for order in whole if str(order[name]).lower() == value.lower()]
        for limit in (1, 2, 3, 50):
            assert read(world.alice, f"/orders?{query}", limit) == meant
    first = world.alice.call("GET", "/orders?side=SELL").body
    assert (first["data"], first["nextCursor"]) == ([], str(whole[3]["orderId"]))
    # An open order is found behind any number of closed ones.
    for order in whole:
        if order["side"] == "BUY":
            world.alice.call("DELETE", f"/orders/{order['orderId']}")
    world.match()
    for query in ("active=true&side=SELL", "status=OPEN&symbol=BTC-USD&side=SELL"):
        assert [order["price"] for order in world.alice.get(f"/orders?{query}")] == ["300"]


def test_a_status_and_whether_it_is_active_go_together_in_all_ways(world):
    for line in ("sell 2 @ 10", "sell 1 @ 12"):
        world.play(world.bob, line)
    for line in ("buy 1 @ 10", "buy 3 @ 11", "buy 9 @ 11 ioc", "buy 1 @ 9 ioc", "buy 2 @ 12 ioc"):
        world.play(world.alice, line)
    world.place(world.alice, "buy 1 @ 8")
    everything = world.alice.get("/orders")
    assert {order["status"] for order in everything} >= {"FILLED", "PARTIALLY_FILLED", "EXPIRED", "PENDING"}
    for status, active in itertools.product([None, *Status], [None, True, False]):
        query = {"status": status, "active": active if active is None else str(active).lower()}
        path = "/orders?" + "&".join(f"{name}={value}" for name, value in query.items() if value is not None)
        wanted = [
            order["orderId"]
            for order in everything
            if status in (None, order["status"]) and active in (None, order["active"])
        ]
        assert [order["orderId"] for order in read(world.alice, path, 2)] == wanted, path


def test_a_user_whose_orders_are_old_does_not_read_those_of_others(world):
    """MySQL would rather read the table from its end, until it happens on enough of them."""
    if connection.vendor != "mysql":
        pytest.skip("only MySQL and MariaDB tell how many rows a statement read")
    world.play(world.alice, "buy 1 @ 10")
    closed = Order.objects.get()
    mine, closed.client_order_id = closed.pk, None
    closed.phase, closed.status, closed.frozen, closed.closed_at = "CLOSED", "CANCELLED", 0, timezone.now()
    for person, number in ((world.alice, 400), (world.bob, 3_000)):
        closed.user_id, copies = person.user.id, []
        for _ in range(number):
            closed.pk = None
            copies.append(Order(**{field.attname: getattr(closed, field.attname) for field in Order._meta.fields}))
        Order.objects.bulk_create(copies)
    later = timezone.now() + timedelta(hours=1)
    for query in ("", "status=CANCELLED", "active=false", f"startTime={later:%Y-%m-%dT%H:%M:%SZ}", "side=SELL"):
        before = rows_read()
        world.alice.get(f"/orders?{query}")
        assert rows_read() - before < 1_200, query
    Order.objects.filter(pk__gt=mine).delete()


def test_rows_that_are_a_little_out_of_order_are_found(world):
    """Two hosts whose clocks differ: no row of a window is missed, and none outside of it is shown."""
    for _ in range(40):
        world.place(world.alice, "buy 1 @ 1")
    world.match()
    dice, beginning = random.Random(5), timezone.now()
    orders = list(Order.objects.order_by("pk"))
    for place, order in enumerate(orders):
        order.created_at = beginning + timedelta(seconds=3 * place + dice.uniform(0, 9))
    Order.objects.bulk_update(orders, ["created_at"])
    for _ in range(30):
        start, end = (beginning + timedelta(seconds=dice.uniform(-5, 130)) for _ in range(2))
        found = made_between(Order.objects.all(), start, end).order_by("pk")
        assert list(found) == [order for order in orders if start <= order.created_at < end]
