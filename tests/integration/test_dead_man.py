"""A dead man's switch, over HTTP, with the looks at the clock run in place."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings

from base.storage.breakers import forget_breakers
from base.storage.clock import database_time
from base.web.ratelimit import meter
from base.web.ratelimit.windows import LocalWindow
from commands.models import Command
from markets.services import create_market
from matching.drain import drain
from matching.worker import timers
from matching.worker.timers import Timers
from orders import dead_man
from orders.dead_man import fire_due
from orders.models import DeadManSwitch, Order
from tests.support.signing import Signer
from tests.support.tape import parse
from tests.support.world import Person, World, outcome, stored_rows

pytestmark = pytest.mark.dialect


def arm(who: Person, seconds: int, **more: Any) -> Any:
    return who.call("POST", "/orders/cancel-all-after", {"timeoutSeconds": seconds, **more})


def pass_by(seconds: float) -> None:
    for switch in DeadManSwitch.objects.all():
        DeadManSwitch.objects.filter(id=switch.id).update(triggers_at=switch.triggers_at - timedelta(seconds=seconds))


@pytest.fixture
def two(world: World) -> World:
    """A second market, with an order of Alice's in each."""
    steps = {"tick_size": Decimal("0.01"), "lot_size": Decimal("0.0001")}
    create_market(symbol="ETH-USD", base="ETH", quote="USD", **steps)
    for symbol in ("BTC-USD", "ETH-USD"):
        assert world.alice.call("POST", "/orders", parse("buy 1 @ 90").body(symbol)).status_code == 202
        drain(symbol)
    return world


def still_open(world: World) -> Iterator[str]:
    for symbol in ("BTC-USD", "ETH-USD"):
        drain(symbol)
    return (order.market_id for order in Order.objects.filter(status="OPEN").order_by("market"))


def test_it_fires_once_and_leaves_what_is_placed_afterwards(world: World) -> None:
    first = world.play(world.alice, "buy 1 @ 90")["orderId"]
    theirs = world.play(world.bob, "sell 1 @ 120")["orderId"]
    armed = arm(world.alice, 60)
    at = datetime.fromisoformat(armed.body["data"]["triggersAt"])
    assert timedelta(seconds=59) < at - database_time() <= timedelta(seconds=60)
    assert (armed.status_code, fire_due()) == (200, 0)
    pass_by(60)
    assert (fire_due(), fire_due()) == (1, 0)
    second = world.place(world.alice, "buy 1 @ 91").body["data"]["orderId"]
    world.match()
    told = [outcome(who.get(f"/orders/{order}")) for who, order in ((world.alice, first), (world.alice, second))]
    assert told == ["1 cancelled dead_man_switch", "1 open +"]
    assert (outcome(world.bob.get(f"/orders/{theirs}")), world.alice.holds("USD")) == ("1 open +", "9909 91")
    assert world.alice.get(f"/orders/{first}/events")[-1]["reason"] == "DEAD_MAN_SWITCH"


def test_each_call_moves_it_and_nought_takes_it_away(world: World) -> None:
    world.play(world.alice, "buy 1 @ 90")
    arm(world.alice, 30)
    pass_by(25)
    arm(world.alice, 30)
    pass_by(25)
    assert (fire_due(), DeadManSwitch.objects.count()) == (0, 1)
    disarmed = arm(world.alice, 0)
    assert (disarmed.status_code, disarmed.body["data"]) == (200, {"triggersAt": None})
    assert arm(world.alice, 0).body["data"] == {"triggersAt": None}
    assert not DeadManSwitch.objects.exists()


def test_a_switch_that_was_moved_after_the_look_does_not_fire(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.play(world.alice, "buy 1 @ 90")
    arm(world.alice, 10)
    pass_by(10)
    fire = dead_man._fire

    def late(switch_id: int) -> None:
        arm(world.alice, 10)
        fire(switch_id)

    monkeypatch.setattr(dead_man, "_fire", late)
    fire_due()
    assert (Command.objects.count(), DeadManSwitch.objects.count()) == (0, 1)


def test_switches_of_markets_and_of_all_of_them_stand_beside_each_other(two: World) -> None:
    arm(two.alice, 10, symbol="ETH-USD")
    arm(two.alice, 20)
    arm(two.alice, 0, symbol="BTC-USD")
    arm(two.bob, 10)
    pass_by(10)
    assert (fire_due(), list(still_open(two))) == (2, ["BTC-USD"])
    arm(two.alice, 0, symbol="ETH-USD")
    pass_by(10)
    assert (fire_due(), list(still_open(two))) == (1, [])


def test_of_workers_that_look_at_the_same_moment_one_fires(transactional_db: None) -> None:
    world = World.make()
    world.play(world.alice, "buy 1 @ 90")
    arm(world.alice, 1)
    pass_by(1)

    def look(_: int) -> None:
        try:
            fire_due()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(look, range(4)))
    assert Command.objects.count() == 1
    world.match()
    assert world.depth() == "|"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "400 FIELD_REQUIRED"),
        ({"timeoutSeconds": 3601}, "400 OUT_OF_RANGE"),
        ({"timeoutSeconds": -1}, "400 OUT_OF_RANGE"),
        ({"timeoutSeconds": 1.5}, "400 INTEGER_REQUIRED"),
        ({"timeoutSeconds": "60"}, "400 INTEGER_REQUIRED"),
        ({"timeoutSeconds": 60, "symbol": "XRP-USD"}, "404 MARKET_NOT_FOUND"),
        ({"timeoutSeconds": 60, "userId": 1}, "400 FIELD_UNKNOWN"),
    ],
    ids=str,
)
def test_what_is_no_switch(world: World, body: dict[str, Any], told: str) -> None:
    before = stored_rows()
    answer = world.alice.call("POST", "/orders/cancel-all-after", body)
    assert (f"{answer.status_code} {answer.body['error']}", stored_rows()) == (told, before)


def test_it_is_a_cancel_and_goes_without_redis(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    key = Signer.of(world.alice, "read", "trade")
    monkeypatch.setattr(meter, "_window", LocalWindow(lambda: 0.0))
    with override_settings(RATE_LIMIT=1, REDIS_URL="redis://127.0.0.1:1/1"):
        forget_breakers()
        assert key.told("GET", "/orders") == "200"
        assert key.told("POST", "/orders/cancel-all-after", {"timeoutSeconds": 60}) == "200"
        assert arm(world.alice, 60).body["data"]["bucket"] == "cancels"


def test_a_look_that_fails_keeps_no_other_from_being_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise ValueError("broken")

    done: list[str] = []
    monkeypatch.setattr(timers, "LOOKS", ((fail, 1), (lambda: done.append("fired") or 1, 1)))
    monkeypatch.setattr(timers, "close_old_connections", lambda: None)
    monkeypatch.setattr(timers.connection, "close", lambda: None)
    assert not Timers().look()
    assert done == ["fired"]
