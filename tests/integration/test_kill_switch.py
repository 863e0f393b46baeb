"""The kill switch and deactivation: everything is cancelled, nothing new is accepted, and a row says who did it."""

import threading
import time
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings

from base.web.ratelimit import meter
from base.web.ratelimit.windows import LocalWindow
from commands.models import Command
from core.types import CommandKind
from markets.services import known_market
from orders.accounts import deactivate, kill
from orders.models import Order
from orders.placing import place_order
from orders.terms import OrderTerms
from tests.support.tape import parse
from tests.support.world import World, allow, outcome
from users.acts import Actor
from users.models import StaffAct

pytestmark = pytest.mark.dialect

REASON = {"reason": "a runaway algorithm"}


def switch(world: World, method: str = "POST", body: Any = REASON) -> Any:
    return world.staff.call(method, f"/users/{world.alice.user.id}/kill", body if method == "POST" else None)


@pytest.fixture
def guarded(world: World) -> World:
    """Its staff may use the switch, and place for others."""
    world.staff = world.clerk("users.kill", "orders.place_for_others", "orders.view_order")
    return world


def test_it_cancels_blocks_and_is_lifted(guarded: World) -> None:
    placed = [guarded.play(guarded.alice, f"buy 1 @ {price}") for price in (90, 91)]
    waiting = guarded.place(guarded.alice, "buy 1 @ 92").body["data"]["orderId"]
    assert switch(guarded).body["data"] == {"cancelled": 3, "blocked": True}
    for line in ("buy 1 @ 90", "buy 1 @ market", "sell 1 @ 90"):
        refused = guarded.place(guarded.alice, line)
        assert (refused.status_code, refused.body.get("error")) == (403, "ACCOUNT_BLOCKED")
    guarded.match()
    ended = [guarded.alice.get(f"/orders/{order_id}") for order_id in [*(each["orderId"] for each in placed), waiting]]
    assert {outcome(order) for order in ended} == {"1 cancelled user_cancelled"}
    assert guarded.alice.holds("USD") == "10000 0"
    assert switch(guarded, "DELETE").body["data"] == {"cancelled": 0, "blocked": False}
    assert guarded.place(guarded.alice, "buy 1 @ 90").status_code == 202


def test_a_row_says_who_when_why_and_from_where(guarded: World) -> None:
    switch(guarded)
    switch(guarded, "DELETE")
    columns = ("kind", "user", "operator", "reason", "address", "before", "after", "details")
    acts = StaffAct.objects.order_by("id").values_list(*columns)
    alice, staff = guarded.alice.user.id, guarded.staff.user.id
    on, off = {"isBlocked": True}, {"isBlocked": False}
    assert list(acts) == [
        ("BLOCKED", alice, staff, REASON["reason"], "127.0.0.1", off, on, {"cancelled": 0}),
        ("UNBLOCKED", alice, staff, "", "127.0.0.1", on, off, {}),
    ]


@pytest.mark.django_db(transaction=True)
def test_it_is_logged_once_it_is_done(log: Any) -> None:
    world = World.make()
    kill(world.alice.user.id, Actor(world.staff.user.id, "127.0.0.1", "a secret of ours"))
    [line] = [line for line in log() if line["event"] == "account blocked"]
    named = {"level": "warning", "ownerId": world.alice.user.id, "operatorId": world.staff.user.id, "cancelled": 0}
    assert named.items() <= line.items()
    assert "a secret of ours" not in str(line)


def test_who_may_use_it(world: World) -> None:
    world.staff = world.clerk()
    assert (switch(world).status_code, switch(world).body["error"]) == (403, "PERMISSION_REQUIRED")
    assert switch(world).body["data"] == {"permission": "users.kill"}
    path = f"/users/{world.alice.user.id}/kill"
    assert world.bob.call("POST", path, REASON).body["error"] == "STAFF_ONLY"
    allow(world.staff, "users.kill")
    assert switch(world, body={"reason": " "}).body["error"] == "BLANK"
    assert world.staff.call("POST", "/users/999999/kill", REASON).body["error"] == "USER_NOT_FOUND"
    assert world.staff.call("POST", "/users/x/kill", REASON).body["error"] == "USER_NOT_FOUND"
    assert not StaffAct.objects.exists()


def test_no_limit_refuses_it(guarded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "_window", LocalWindow(lambda: 0.0))
    with override_settings(RATE_LIMIT=1):
        assert [guarded.staff.call("GET", "/orders").status_code for _ in range(2)] == [200, 429]
        assert [switch(guarded).status_code for _ in range(3)] == [200] * 3
        path = f"/users/{guarded.alice.user.id}/kill"
        assert [guarded.bob.call("POST", path, REASON).status_code for _ in range(2)] == [403, 429]


def test_a_repeat_has_its_first_answer(guarded: World) -> None:
    first = guarded.place(guarded.alice, "buy 1 @ 90", clientOrderId="k")
    switch(guarded)
    assert guarded.place(guarded.alice, "buy 1 @ 90", clientOrderId="k").body["data"] == first.body["data"]
    assert guarded.place(guarded.alice, "buy 1 @ 91", clientOrderId="l").body["error"] == "ACCOUNT_BLOCKED"


def test_in_a_batch_and_for_others(guarded: World) -> None:
    """Staff who place for a user meet the block too; the other orders of the batch are accepted."""
    switch(guarded)
    theirs = parse("buy 1 @ 90").body(guarded.symbol, userId=guarded.alice.user.id)
    own = parse("sell 1 @ 90").body(guarded.symbol, userId=guarded.bob.user.id)
    results = guarded.staff.call("POST", "/orders/batch", {"orders": [theirs, own, theirs]}).body["data"]["results"]
    assert [result["code"] for result in results] == [403, 202, 403]
    assert list(Order.objects.values_list("user_id", flat=True)) == [guarded.bob.user.id]


def test_deactivation_cancels_what_rests(world: World) -> None:
    order = world.play(world.alice, "buy 1 @ 90")
    assert deactivate(world.alice.user.id, Actor(world.staff.user.id, "127.0.0.1", "left")) == 1
    world.match()
    assert Order.objects.get(id=order["orderId"]).status == "CANCELLED"
    body = parse("buy 1 @ 90").body(world.symbol, userId=world.alice.user.id)
    assert world.staff.call("POST", "/orders", body).body["error"] == "ACCOUNT_BLOCKED"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("end", [kill, deactivate])
def test_no_order_slips_through(end: Any) -> None:
    """While eight threads place orders: every order that is stored has its cancel, and none comes after the answer."""
    world = World.make()
    one = Decimal(1)
    market, terms = known_market(world.symbol), OrderTerms(side="BUY", type="LIMIT", price=one, quantity=one)
    user_id = world.alice.user.id
    stored: list[int] = []

    def trade() -> None:
        try:
            while True:
                stored.append(place_order(user_id, market, terms).order.id)
        except Exception as error:
            refusals.append(getattr(error, "error", repr(error)))
        finally:
            connection.close()

    refusals: list[str] = []
    threads = [threading.Thread(target=trade) for _ in range(8)]
    for thread in threads:
        thread.start()
    while len(stored) < 20 and not refusals:
        time.sleep(0.005)
    cancelled = end(user_id, Actor(world.staff.user.id, "127.0.0.1", "test"))
    known = Order.objects.count()
    for thread in threads:
        thread.join()
    assert refusals == ["ACCOUNT_BLOCKED"] * 8
    assert known == Order.objects.count() == len(stored) == cancelled
    cancels = Command.objects.filter(kind=CommandKind.CANCEL).values_list("order_id", flat=True)
    assert sorted(cancels) == sorted(stored)
    world.match()


def test_staff_who_name_the_user_need_the_permission_too(world: World) -> None:
    order_id = world.play(world.alice, "buy 1 @ 90")["orderId"]
    other_id = world.play(world.alice, "buy 1 @ 91")["orderId"]
    world.staff = world.clerk()
    alice, staff = world.alice.user.id, world.staff.user.id
    one, each = f"/orders/{order_id}?userId={alice}", f"/orders?userId={alice}&symbol={world.symbol}"
    for path in (one, each):
        refused = world.staff.call("DELETE", path)
        assert (refused.status_code, refused.body["error"]) == (403, "PERMISSION_REQUIRED")
        assert world.bob.call("DELETE", path).body["error"] == "NOT_YOUR_ACCOUNT"
    assert world.staff.call("DELETE", f"/orders/{order_id}?userId={staff}").body["error"] == "ORDER_NOT_FOUND"
    assert world.staff.call("DELETE", "/orders").body["data"] == {"cancelled": 0}
    assert not Command.objects.filter(kind=CommandKind.CANCEL).exists()
    allow(world.staff, "orders.cancel_for_others")
    assert world.staff.call("DELETE", one).status_code == 202
    world.match()
    assert world.staff.call("DELETE", each).body["data"] == {"cancelled": 1}
    world.match()
    assert set(Order.objects.filter(status="CANCELLED").values_list("id", flat=True)) == {order_id, other_id}
    acts = StaffAct.objects.order_by("id").values_list("kind", "user", "operator", "details")
    assert list(acts) == [
        ("ORDERS_CANCELLED", alice, staff, {"orderId": order_id}),
        ("ORDERS_CANCELLED", alice, staff, {"cancelled": 1, "symbol": world.symbol}),
    ]


def test_staff_cancel_anybodys_order(world: World) -> None:
    order_id = world.play(world.alice, "buy 1 @ 90")["orderId"]
    world.staff = world.clerk()
    path = f"/orders/{order_id}"
    assert world.bob.call("DELETE", path).body["error"] == "ORDER_NOT_FOUND"
    refused = world.staff.call("DELETE", path)
    assert (refused.status_code, refused.body["error"]) == (403, "PERMISSION_REQUIRED")
    assert refused.body["data"] == {"permission": "orders.cancel_for_others"}
    allow(world.staff, "orders.cancel_for_others")
    assert world.staff.call("DELETE", path).status_code == 202
    world.match()
    assert world.staff.call("DELETE", path).body["error"] == "ORDER_CLOSED"
    assert world.staff.call("DELETE", "/orders/999999").body["error"] == "ORDER_NOT_FOUND"
    [act] = StaffAct.objects.all()
    assert (act.kind, act.user_id, act.operator_id) == ("ORDERS_CANCELLED", world.alice.user.id, world.staff.user.id)
    assert act.details == {"orderId": order_id}
