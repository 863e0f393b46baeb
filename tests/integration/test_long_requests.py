"""Large batches hold a share of the threads; where it is taken, the next is refused by name, and nothing is stored."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from base.web.ratelimit import meter
from commands.models import Command
from markets.models import Market
from orders import long_requests
from orders.models import Order
from orders.placing import place_orders
from tests.support.tape import parse
from tests.support.world import World, stored_rows


@pytest.fixture(autouse=True)
def one_at_a_time(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.BATCHES_MAX = 1
    monkeypatch.setattr(long_requests, "PATIENCE_SECONDS", 0.01)


@contextmanager
def taken() -> Iterator[None]:
    with long_requests.batch_of(11):
        yield


def batch(world: World, number: int) -> Any:
    return world.alice.call("POST", "/orders/batch", {"orders": [parse("buy 0.01 @ 100").body(world.symbol)] * number})


def told(answer: Any) -> str:
    return f"{answer.status_code} {answer.body.get('error', '')}".strip()


def test_a_large_batch_is_refused_and_nothing_is_stored(world: World) -> None:
    with taken():
        before = stored_rows()
        refused = batch(world, 11)
        assert (told(refused), refused["Retry-After"]) == ("503 BATCHES_BUSY", "1")
        assert stored_rows() == before
        assert told(batch(world, 10)) == "202", "a small one costs as much as a request"
    assert told(batch(world, 11)) == "202"
    assert Order.objects.count() == 21


def test_it_costs_nothing_under_the_rate_limit(world: World, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.RATE_LIMIT = 10
    weighed: list[int] = []
    monkeypatch.setattr(meter.Meter, "weigh", lambda _, cost: weighed.append(cost))
    with taken():
        assert told(batch(world, 100)) == "503 BATCHES_BUSY"
    assert weighed == []
    assert told(batch(world, 100)) == "202"
    assert weighed == [10]


def test_a_batch_that_is_refused_as_a_whole_needs_no_place(world: World) -> None:
    with taken():
        assert told(batch(world, 101)) == "400 LIST_TOO_LONG"
        assert told(world.alice.call("POST", "/orders/batch", {"orders": "all"})) == "400 LIST_REQUIRED"


@pytest.mark.parametrize("defect", [None, "place_orders"])
def test_the_place_is_given_back(world: World, monkeypatch: pytest.MonkeyPatch, defect: str | None) -> None:
    if defect:
        world.alice.client.raise_request_exception = False
        with monkeypatch.context() as patched:
            patched.setattr("orders.views.place_orders", lambda _: 1 / 0)
            assert told(batch(world, 11)) == "500 INTERNAL_ERROR"
    for _ in range(3):
        assert told(batch(world, 11)) == "202"


def test_emergency_acts_are_never_refused_by_it(world: World) -> None:
    for line in ("buy 1 @ 100", "buy 2 @ 100", "buy 3 @ 100"):
        assert told(world.place(world.alice, line)) == "202"
    with taken(), long_requests.cancel_of_all():
        assert told(world.staff.call("PATCH", f"/markets/{world.symbol}", {"status": "HALTED"})) == "200"
        assert world.alice.call("DELETE", "/orders").body["data"] == {"cancelled": 3}
        path = f"/users/{world.alice.user.id}/kill"
        assert told(world.staff.call("POST", path, {"reason": "by telephone"})) == "200"
    assert Market.objects.get().status == "HALTED"
    assert Command.objects.count()


def test_batches_wait_for_cancels_of_all_orders(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = []

    def cancel_meanwhile(requests: Any) -> Any:
        answers.append(told(world.alice.call("DELETE", "/orders")))
        return place_orders(requests)

    monkeypatch.setattr("orders.views.place_orders", cancel_meanwhile)
    assert told(batch(world, 11)) == "202"
    with long_requests.cancel_of_all():
        assert told(batch(world, 11)) == "503 BATCHES_BUSY"
    assert answers == ["202"]


def test_it_can_be_switched_off(world: World, settings: Any) -> None:
    settings.BATCHES_MAX = None
    with taken(), taken():
        assert told(batch(world, 11)) == "202"
