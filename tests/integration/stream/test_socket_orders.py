"""Which orders a WebSocket cancels when it goes, and the threads that its calls of REST run in."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection

from core.types import Phase
from exchange import socket as sockets
from exchange import socket_calls
from orders import group_view, views
from orders.models import Order
from tests.integration.stream.cast import until_true
from tests.integration.stream.trader import place, socket
from tests.support.world import World
from users.models import StaffAct

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(transactional_db: None) -> World:
    return World.make()


def cancelled(world: World) -> set[int]:
    world.match()
    return set(Order.objects.filter(status="CANCELLED").values_list("id", flat=True))


def test_a_repeat_of_an_order_of_before_stays(world: World, port: int) -> None:
    before = world.place(world.alice, "buy 1 @ 90", clientOrderId="a").body["data"]["orderId"]
    with socket(port, world.alice.user) as alice:
        assert alice.ask("cancel-on-disconnect", enabled=True)["code"] == 200
        repeat = place(alice, world, "buy 1 @ 90", clientOrderId="a")
        assert (repeat["replayed"], repeat["data"]["orderId"]) == (True, before)
        own = place(alice, world, "buy 1 @ 91", clientOrderId="b")["data"]["orderId"]
        assert place(alice, world, "buy 1 @ 91", clientOrderId="b")["replayed"] is True
    assert until_true(lambda: own in cancelled(world))
    assert cancelled(world) == {own}


def test_orders_for_others_are_cancelled_for_their_owner(world: World, port: int) -> None:
    alice = world.alice.user.id
    with socket(port, world.staff.user) as staff:
        assert staff.ask("cancel-on-disconnect", enabled=True)["code"] == 200
        theirs = [place(staff, world, "buy 1 @ 90", userId=named)["data"]["orderId"] for named in (alice, str(alice))]
    assert until_true(lambda: cancelled(world) == set(theirs))
    *placed, act = StaffAct.objects.order_by("id")
    assert [each.kind for each in placed] == ["ORDER_PLACED"] * 2
    assert (act.kind, act.user_id, act.operator_id) == ("ORDERS_CANCELLED", alice, world.staff.user.id)
    assert (act.details, act.reason) == ({"cancelled": 2}, "the connection ended")


@pytest.mark.parametrize("who", ["bob", "staff"])
def test_what_nobody_knows_to_be_stored_cancels_nothing_that_another_placed(
    world: World, port: int, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """An outage is answered before it is known who may act for whom: the account and the key are as they were sent."""
    alice, me = world.alice.user.id, getattr(world, who)
    own_before = world.place(world.alice, "buy 1 @ 90", clientOrderId="a").body["data"]["orderId"]

    def fail(*_: object) -> None:
        raise OperationalError(2006, "gone away")

    with socket(port, me.user) as trader:
        assert trader.ask("cancel-on-disconnect", enabled=True)["code"] == 200
        named = {} if who == "bob" else {"userId": alice}
        line = "sell 1 @ 110" if who == "bob" else "buy 1 @ 91"
        placed = place(trader, world, line, clientOrderId="b", **named)["data"]["orderId"]
        monkeypatch.setattr(views, "read_order", fail)
        assert place(trader, world, "buy 1 @ 90", clientOrderId="a", userId=alice)["code"] == 503
    assert until_true(lambda: placed in cancelled(world))
    assert cancelled(world) == {placed}
    assert Order.objects.get(id=own_before).status == "OPEN"


def test_an_order_whose_answer_was_lost_is_cancelled_by_its_key(
    world: World, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = world.alice.user.id

    def fail(*_: object) -> None:
        raise OperationalError(2006, "gone away")

    with socket(port, world.staff.user) as staff:
        assert staff.ask("cancel-on-disconnect", enabled=True)["code"] == 200
        monkeypatch.setattr(views, "represent_accepted", fail)
        answer = place(staff, world, "buy 1 @ 90", clientOrderId="a", userId=alice)
        assert answer["code"] == 503
    [stored] = Order.objects.values_list("id", flat=True)
    assert until_true(lambda: cancelled(world) == {stored})


def test_the_stop_leg_that_came_to_rest_is_cancelled(world: World, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the second group only the key is known."""
    legs = {"side": "SELL", "quantity": "1", "price": "110", "stopPrice": "90", "stopLimitPrice": "89"}

    def fail(*_: object) -> None:
        raise OperationalError(2006, "gone away")

    with socket(port, world.bob.user) as bob:
        assert bob.ask("cancel-on-disconnect", enabled=True)["code"] == 200
        answers = [bob.ask("order.oco", params={"symbol": world.symbol, **legs})]
        monkeypatch.setattr(group_view, "represent_accepted", fail)
        answers.append(bob.ask("order.oco", params={"symbol": world.symbol, **legs, "clientOrderId": "a"}))
        assert [answer["code"] for answer in answers] == [202, 503]
        world.play(world.alice, "buy 0.1 @ 90")
        world.play(world.bob, "sell 0.1 @ 90")
        world.match()
        stops = Order.objects.filter(type="STOP_LIMIT")
        assert [(leg.status, leg.phase) for leg in stops] == [("OPEN", Phase.RESTING)] * 2
    assert until_true(lambda: {leg.id for leg in stops} <= cancelled(world))


def test_an_accepted_order_is_answered_where_no_order_can_be_forgotten(
    world: World, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def fail(user_id: int, order_ids: list[int]) -> list[int]:
        asked.append(len(order_ids))
        raise OperationalError("gone away")

    monkeypatch.setattr(sockets, "active_among", fail)
    monkeypatch.setattr(sockets, "REMEMBERED_ORDERS", 1)
    with socket(port, world.alice.user) as alice:
        assert alice.ask("cancel-on-disconnect", enabled=True)["code"] == 200
        answers = [place(alice, world, "buy 1 @ 90") for _ in range(2)]
    assert ([answer["code"] for answer in answers], asked) == ([202, 202], [1, 2])
    assert until_true(lambda: cancelled(world) == {answer["data"]["orderId"] for answer in answers})


def test_no_call_meets_a_connection_that_failed_or_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    users = socket_calls.SocketUsers(lambda *_: [])

    def fail() -> None:
        connection.ensure_connection()
        raise OperationalError("gone away")

    def grow_old() -> None:
        connection.ensure_connection()
        connection.close_at = 0.0

    async def run() -> list[bool]:
        found = [await users.in_thread(is_open)]
        with pytest.raises(OperationalError):
            await users.in_thread(fail)
        found.append(await users.in_thread(is_open))
        await users.in_thread(grow_old)
        return [*found, await users.in_thread(is_open)]

    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(socket_calls, "_threads", lambda: pool)
        assert asyncio.run(run()) == [False, False, False]


def is_open() -> bool:
    return connection.connection is not None
