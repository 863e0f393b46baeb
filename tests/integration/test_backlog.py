"""A market whose worker does not keep up takes no new orders for the moment, and says so."""

import time
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from commands import queue
from commands.models import Command
from core.types import CommandKind
from orders.models import Order
from orders.placing import place_order
from orders.terms import OrderTerms
from tests.integration.test_intake import statements
from tests.integration.test_open_orders import rows_read
from tests.support.tape import parse
from tests.support.world import World, fund, person, stored_rows

pytestmark = pytest.mark.dialect
ONE = Decimal(1)


@pytest.fixture
def busy(world: World, settings: Any) -> World:
    """As many of Alice's orders wait as may, and one more."""
    settings.INTAKE_MAX_WAITING = 2
    for number in range(3):
        place(world, clientOrderId=f"k-{number}")
    queue.find_backlog.cache_clear()
    return world


def place(world: World, line: str = "buy 1 @ 100", **more: Any) -> Any:
    return world.place(world.alice, line, **more)


def test_a_full_inbox_refuses_new_orders_and_stores_nothing(busy):
    before = stored_rows()
    answer = place(busy)
    assert (answer.status_code, answer.body["error"], answer["Retry-After"]) == (503, "MARKET_BUSY", "5")
    assert answer.body["data"] == {"symbol": busy.symbol, "waiting": 3, "maxWaiting": 2}
    assert "nothing was stored" in answer.body["message"]
    assert stored_rows() == before
    assert busy.alice.holds("USD") == "9700 300"


@pytest.mark.parametrize("came", ["2026-01-01T00:00:00Z", "2126-01-01T00:00:00Z"])
def test_an_old_command_refuses_new_orders(world, monkeypatch, came):
    """By how long this process has seen it wait: the clock of the host that stored it may be wrong by hours."""
    began, passed = time.monotonic(), 0
    monkeypatch.setattr(queue, "monotonic", lambda: began + passed)
    place(world)
    Command.objects.update(created_at=came)
    queue.find_backlog.cache_clear()
    assert place(world).status_code == 202
    passed = 29
    queue.find_backlog.cache_clear()
    assert place(world).status_code == 202
    passed = 31
    queue.find_backlog.cache_clear()
    answer = place(world)
    assert (answer.status_code, answer.body["error"], answer["Retry-After"]) == (503, "MARKET_BUSY", "5")
    assert answer.body["data"] == {"symbol": world.symbol, "oldestSeconds": 31, "maxAgeSeconds": 30}


def test_a_known_key_answers_though_the_market_is_busy(busy):
    again = place(busy, clientOrderId="k-1")
    assert (again.status_code, again["Idempotent-Replayed"]) == (202, "true")
    other = place(busy, "buy 2 @ 100", clientOrderId="k-1")
    assert (other.status_code, other.body["error"]) == (422, "CLIENT_ORDER_ID_REUSED")
    assert place(busy, clientOrderId="k-9").status_code == 503


def test_what_breaks_a_rule_need_not_come_again(busy):
    assert place(busy, "buy 1 @ 100.001").body["error"] == "PRICE_OFF_TICK"


def test_cancels_are_taken_and_orders_again_once_it_is_drained(busy):
    first, second = Order.objects.order_by("id")[:2]
    assert busy.alice.call("DELETE", f"/orders/{first.id}").status_code == 202
    assert busy.alice.call("DELETE", "/orders").status_code == 202
    assert Command.objects.count() == 6
    queue.find_backlog.cache_clear()
    assert place(busy).status_code == 503
    busy.match()
    queue.find_backlog.cache_clear()
    assert place(busy).status_code == 202
    assert busy.alice.get(f"/orders/{second.id}")["status"] == "CANCELLED"


def test_each_order_of_a_batch_is_refused_in_its_place(busy):
    orders = [parse("buy 1 @ 100").body(busy.symbol, clientOrderId=key) for key in ("k-0", "n-0", "k-2", "n-1")]
    before = stored_rows()
    answer = busy.alice.call("POST", "/orders/batch", {"orders": orders})
    assert answer.status_code == 202
    told = [result.get("error", result.get("replayed")) for result in answer.body["data"]["results"]]
    assert told == [True, "MARKET_BUSY", True, "MARKET_BUSY"]
    assert answer.body["data"]["results"][1]["code"] == 503
    assert stored_rows() == before


def test_other_markets_go_on(busy):
    body = {"symbol": "ETH-USD", "base": "ETH", "quote": "USD", "tickSize": "0.01", "lotSize": "0.01"}
    assert busy.staff.call("POST", "/markets", body).status_code == 201
    order = parse("buy 1 @ 100").body("ETH-USD")
    assert busy.alice.call("POST", "/orders", order).status_code == 202


def test_the_inbox_is_looked_at_twice_a_second_at_most(world):
    place(world)
    with statements() as seen:
        place(world)
    assert "SELECT commands" not in seen
    queue.find_backlog.cache_clear()
    with statements() as seen:
        queue.refuse_when_busy(world.symbol)
        queue.refuse_when_busy(world.symbol)
    assert len(seen) == 2, "the oldest, and how many"


def test_no_more_is_counted_than_matters(world, settings):
    settings.INTAKE_MAX_WAITING = 5
    for _ in range(8):
        # By what was remembered before the first.
        place(world)
    queue.find_backlog.cache_clear()
    assert queue.find_backlog(world.symbol).orders == 6


def test_cancels_keep_nobody_out(world, settings):
    """Many accounts with as many open orders as they may have, which all cancel at once: others are still let in."""
    settings.INTAKE_MAX_WAITING = 20
    crowd = [person(f"crowd-{number}") for number in range(5)]
    for who in crowd:
        fund(who.user, USD="100")
        for _ in range(10):
            place_order(who.user.id, world.market, OrderTerms(side="BUY", type="LIMIT", price=ONE, quantity=ONE))
        world.match()
    assert [who.call("DELETE", "/orders").body["data"]["cancelled"] for who in crowd] == [10] * 5
    assert Command.objects.count() == 50
    queue.find_backlog.cache_clear()
    assert place(world).status_code == 202
    backlog = queue.find_backlog(world.symbol)
    assert (backlog.waiting, backlog.orders) == (21, 0)


def test_who_cancels_all_orders_again_and_again_fills_neither_inbox_nor_log(world, log):
    for price in (90, 91):
        world.play(world.alice, f"buy 1 @ {price}")
    answers = [world.alice.call("DELETE", "/orders").body["data"]["cancelled"] for _ in range(3)]
    assert (answers, Command.objects.count()) == ([2] * 3, 2)
    lines = [entry for entry in log() if entry["event"] == "cancels accepted"]
    assert [len(entry["orders"]) for entry in lines] == [2]


def test_many_cancels_are_stored_a_few_at_a_time(transactional_db, monkeypatch):
    """So that no transaction is long, and what was stored before an outage is applied."""
    world, stored = World.make(), []
    for _ in range(5):
        world.play(world.alice, "buy 1 @ 90")
    real = queue.submit

    def break_off(kind: CommandKind, orders: list[tuple[str, int]]) -> None:
        stored.append(len(orders))
        if len(stored) == 2:
            raise OperationalError(2006, "gone away")
        real(kind, orders)

    monkeypatch.setattr(queue, "CANCELS_AT_ONCE", 2)
    monkeypatch.setattr(queue, "submit", break_off)
    assert world.alice.call("DELETE", "/orders").status_code == 503
    world.match()
    assert world.alice.call("DELETE", "/orders").body["data"] == {"cancelled": 3}
    world.match()
    assert stored == [2, 2, 2, 1]
    assert set(Order.objects.values_list("status", flat=True)) == {"CANCELLED"}


def test_no_user_takes_more_than_a_share_of_what_may_wait(world, settings):
    """Where a market lets each user have more open orders than that."""
    settings.INTAKE_MAX_WAITING_PER_USER = 2
    fund(world.carol.user, USD="100")
    for number in range(3):
        place(world, clientOrderId=f"k-{number}")
    queue.find_backlog.cache_clear()
    before = stored_rows()
    refused = place(world)
    assert (refused.status_code, refused.body["error"], refused["Retry-After"]) == (429, "TOO_MANY_WAITING", "1")
    assert refused.body["data"] == {"symbol": world.symbol, "waiting": 3, "maxWaiting": 2}
    orders = [parse("buy 1 @ 100").body(world.symbol, clientOrderId=key) for key in ("k-1", "k-3")]
    results = world.alice.call("POST", "/orders/batch", {"orders": orders}).body["data"]["results"]
    assert [result.get("error") for result in results] == [None, "TOO_MANY_WAITING"]
    assert stored_rows() == before
    assert world.place(world.carol, "buy 1 @ 100").status_code == 202, "nobody else is refused"


def test_a_cancel_looks_at_no_more_because_more_waits(world):
    """Whether one waits already is found by the order, and not by a look through the inbox."""
    if connection.vendor != "mysql":
        pytest.skip("only MySQL and MariaDB tell how many rows a statement read")
    order_id = place(world).body["data"]["orderId"]
    now = timezone.now()
    Command.objects.bulk_create(
        Command(market_id=world.symbol, kind="CANCEL", order_id=order_id + number, created_at=now)
        for number in range(1, 2000)
    )
    before = rows_read()
    for _ in range(2):
        assert world.alice.call("DELETE", "/orders").status_code == 202
        assert Command.objects.filter(order_id=order_id).count() == 2
    assert rows_read() - before < 200
    Command.objects.exclude(order_id=order_id).delete()
