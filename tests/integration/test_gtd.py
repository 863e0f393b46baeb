"""Orders that end at a time, by the database's clock; over HTTP, with the looks at the clock run in place."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from audit.checks import Check
from base.storage.clock import database_time
from commands.models import Command
from matching import books
from orders.expiry import expire_due
from orders.models import Order, OrderExpiry
from tests.support.orders import checks, full, replay
from tests.support.tape import parse
from tests.support.world import Person, World, outcome, stored_rows

pytestmark = pytest.mark.dialect


def ahead(seconds: float) -> str:
    return (database_time() + timedelta(seconds=seconds)).isoformat()


def gtd(world: World, who: Person, line: str, seconds: float = 60, **more: Any) -> int:
    """The id of an order that ends so many seconds from now, not matched yet."""
    placed = world.place(who, f"{line} gtd", expiresAt=ahead(seconds), **more)
    assert placed.status_code == 202, placed.body
    order_id: int = placed.body["data"]["orderId"]
    return order_id


def pass_by(seconds: float) -> None:
    """As if so much time had passed since the orders were stored."""
    for order in Order.objects.exclude(expires_at=None):
        Order.objects.filter(id=order.id).update(expires_at=order.expires_at - timedelta(seconds=seconds))
    for expiry in OrderExpiry.objects.exclude(due_at=None):
        OrderExpiry.objects.filter(id=expiry.id).update(due_at=expiry.due_at - timedelta(seconds=seconds))
    books._markets.clear()


def test_it_rests_until_its_time_and_then_its_funds_are_released(world: World) -> None:
    at = ahead(60)
    order = world.play(world.alice, "buy 2 @ 90 gtd post-only", expiresAt=at)
    assert (outcome(order), order["timeInForce"]) == ("2 open +", "GTD")
    assert datetime.fromisoformat(order["expiresAt"]) == datetime.fromisoformat(at)
    assert (expire_due(), world.alice.holds("USD")) == (0, "9820 180")
    pass_by(60)
    assert (expire_due(), expire_due()) == (1, 0)
    world.match()
    assert outcome(world.alice.get(f"/orders/{order['orderId']}")) == "2 expired gtd_expired"
    assert world.alice.holds("USD") == "10000 0"
    last = world.alice.get(f"/orders/{order['orderId']}/events")[-1]
    assert (last["status"], last["reason"]) == ("EXPIRED", "GTD_EXPIRED")
    assert not OrderExpiry.objects.exists()


def test_one_with_fills_is_partially_filled_and_one_that_is_closed_is_not_looked_for(world: World) -> None:
    partly, cancelled, filled = (gtd(world, world.alice, f"buy 2 @ {price}") for price in (92, 90, 93))
    world.match()
    world.play(world.bob, "sell 3 @ 92")
    world.alice.call("DELETE", f"/orders/{cancelled}")
    world.match()
    assert [row.id for row in OrderExpiry.objects.all()] == [partly]
    pass_by(60)
    world.switch("HALTED")
    assert expire_due() == 1
    world.match()
    told = [outcome(world.alice.get(f"/orders/{order_id}")) for order_id in (partly, cancelled, filled)]
    assert told == ["1 partially_filled gtd_expired", "2 cancelled user_cancelled", "0 filled"]


def test_an_order_whose_time_was_over_before_its_worker_took_it_up_never_trades(world: World) -> None:
    world.play(world.bob, "sell 1 @ 90")
    late = gtd(world, world.alice, "buy 1 @ 90")
    pass_by(60)
    assert expire_due() == 1
    world.match()
    assert outcome(world.alice.get(f"/orders/{late}")) == "1 expired gtd_expired"
    assert checks(full(), replay()) == set()
    assert (world.depth(), Command.objects.count()) == ("| 1@90", 0)


def test_a_replacement_whose_time_was_over_cancels_and_never_trades(world: World) -> None:
    world.play(world.bob, "sell 1 @ 90")
    old = world.play(world.alice, "buy 1 @ 80")["orderId"]
    body = parse("buy 1 @ 90 gtd").body(world.symbol, expiresAt=ahead(60))
    late = world.alice.call("POST", f"/orders/{old}/replace", body).body["data"]["orderId"]
    pass_by(60)
    world.match()
    told = [outcome(world.alice.get(f"/orders/{each}")) for each in (old, late)]
    assert told == ["1 cancelled user_cancelled", "1 expired gtd_expired"]
    assert (checks(full(), replay()), world.alice.holds("USD")) == (set(), "10000 0")
    assert (expire_due(), world.depth()) == (0, "| 1@90")


def test_an_amend_gives_it_another_time(world: World) -> None:
    """Also one that comes before the command that was stored for the time of before."""
    order_id, other = gtd(world, world.alice, "buy 1 @ 90"), world.play(world.alice, "buy 1 @ 91")["orderId"]
    world.match()
    path, later = f"/orders/{order_id}", ahead(3600)
    assert world.alice.call("PATCH", path, {"expiresAt": ahead(0.5)}).body["error"] == "EXPIRY_TOO_SOON"
    refused = world.alice.call("PATCH", f"/orders/{other}", {"expiresAt": later})
    assert refused.body["error"] == "FIELD_NOT_ALLOWED"
    assert world.alice.call("PATCH", path, {"expiresAt": later}).status_code == 202
    pass_by(60)
    assert expire_due() == 1
    world.match()
    order = world.alice.get(path)
    assert (outcome(order), expire_due()) == ("1 open +", 0)
    assert datetime.fromisoformat(order["expiresAt"]) == datetime.fromisoformat(later)
    pass_by(3600)
    assert expire_due() == 1
    world.match()
    assert outcome(world.alice.get(path)) == "1 expired gtd_expired"
    assert checks(full(), replay()) == set()


def test_a_worker_that_dies_after_the_look_loses_nothing(world: World) -> None:
    """The command is a row as any other: another worker with a book of its own applies it."""
    order_id = gtd(world, world.alice, "buy 1 @ 90")
    world.match()
    pass_by(60)
    assert expire_due() == 1
    books._markets.clear()
    assert Command.objects.get().kind == "EXPIRE"
    world.match()
    assert Order.objects.get(id=order_id).status == "EXPIRED"


def test_the_audit_finds_an_order_that_nobody_would_close(world: World) -> None:
    order_id = gtd(world, world.alice, "buy 1 @ 90")
    world.match()
    rows = OrderExpiry.objects.filter(id=order_id)
    [expiry] = rows
    for harm in (rows.delete, lambda: rows.update(due_at=None), lambda: rows.update(due_at=database_time())):
        harm()
        assert checks(full()) == {Check.EXPIRY}
        OrderExpiry.objects.filter(id=order_id).delete()
        expiry.save(force_insert=True)
    assert checks(full()) == set()


def test_a_few_at_a_time_the_first_that_are_due_first(world: World) -> None:
    ids = [gtd(world, world.alice, "buy 0.1 @ 90", seconds) for seconds in (12, 11, 13)]
    pass_by(20)
    assert (expire_due(2), Command.objects.filter(kind="EXPIRE").count()) == (2, 2)
    assert set(OrderExpiry.objects.exclude(due_at=None).values_list("id", flat=True)) == {ids[2]}
    assert (expire_due(2), expire_due(2)) == (1, 0)


def test_workers_that_look_at_the_same_moment_store_one_command_for_each(transactional_db: None) -> None:
    world = World.make()
    ids = [gtd(world, world.alice, "buy 0.1 @ 90") for _ in range(30)]
    pass_by(60)
    start = Barrier(4)

    def look(_: int) -> int:
        try:
            start.wait()
            return expire_due()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(look, range(4)))
    asked = Command.objects.filter(kind="EXPIRE").values_list("order_id", flat=True)
    assert (sum(found), sorted(asked)) == (30, ids)
    world.match()
    assert set(Order.objects.values_list("status", flat=True)) == {"EXPIRED"}


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"timeInForce": "GTD"}, "expiresAt FIELD_REQUIRED"),
        ({"timeInForce": "GTD", "expiresAt": None}, "expiresAt FIELD_REQUIRED"),
        ({"timeInForce": "GTD", "expiresAt": "tomorrow"}, "expiresAt INVALID_TIME"),
        ({"timeInForce": "GTD", "expiresAt": "2026-01-01T00:00:00Z"}, "expiresAt EXPIRY_TOO_SOON"),
        ({"expiresAt": "2199-01-01T00:00:00Z"}, "expiresAt FIELD_NOT_ALLOWED"),
        ({"timeInForce": "IOC", "expiresAt": "2199-01-01T00:00:00Z"}, "expiresAt FIELD_NOT_ALLOWED"),
        ({"type": "MARKET", "expiresAt": "2199-01-01T00:00:00Z"}, "price, expiresAt VALIDATION_FAILED"),
    ],
    ids=str,
)
def test_what_is_no_time_in_the_right_place_is_refused(world: World, more: dict[str, Any], error: str) -> None:
    before = stored_rows()
    refused = world.place(world.alice, "buy 1 @ 90", **more)
    fields = ", ".join(each["field"] for each in refused.body["data"].get("errors", [refused.body["data"]]))
    assert (refused.status_code, f"{fields} {refused.body['error']}") == (400, error)
    assert stored_rows() == before


def test_a_second_ahead_is_enough_and_a_repeat_has_its_first_answer(world: World) -> None:
    soon = world.place(world.alice, "buy 1 @ 90 gtd", expiresAt=ahead(0.9))
    assert soon.body["error"] == "EXPIRY_TOO_SOON"
    at = database_time() + timedelta(seconds=1.3)
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    first = world.place(world.alice, "buy 1 @ 90 gtd", expiresAt=at.isoformat(), clientOrderId="a")
    assert first.status_code == 202
    world.match()
    time.sleep(0.4)
    late = world.place(world.alice, "buy 1 @ 90 gtd", expiresAt=at.isoformat(), clientOrderId="b")
    assert late.body["error"] == "EXPIRY_TOO_SOON"
    other = world.place(world.alice, "buy 1 @ 90 gtd", expiresAt=ahead(60), clientOrderId="a")
    assert (other.status_code, other.body["error"]) == (422, "CLIENT_ORDER_ID_REUSED")
    milliseconds = int(at.astimezone(UTC).timestamp() * 1000)
    repeat = world.place(world.alice, "buy 1 @ 90 gtd", expiresAt=milliseconds, clientOrderId="a")
    assert (repeat.status_code, repeat.body["data"]) == (202, first.body["data"])
