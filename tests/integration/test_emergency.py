"""A halt, the kill switch and a cancel of all orders go through, whatever waits, is exhausted or is away."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from django.contrib.auth.models import Permission
from django.test import override_settings

from base.web.ratelimit import meter
from base.web.ratelimit.windows import LocalWindow, SharedWindow
from commands import queue
from markets.models import Market
from orders.models import Order
from tests.support.world import World, stored_rows
from tools.rig.servers import free_port

pytestmark = pytest.mark.dialect


@pytest.fixture
def worst(world: World, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[World]:
    """Redis and the broker do not answer, more orders wait than may, and everybody has used up all limits.

    Alice has two orders open and Bob one, and one more of each waits.
    """
    for who, line in ((world.alice, "buy 1 @ 90"), (world.alice, "buy 1 @ 91"), (world.bob, "sell 1 @ 110")):
        world.play(who, line)
    world.place(world.alice, "buy 1 @ 92")
    world.place(world.bob, "sell 1 @ 111")
    for name in ("users.kill", "orders.cancel_for_others"):
        world.staff.user.user_permissions.add(Permission.objects.get(codename=name.partition(".")[2]))
    window = SharedWindow()
    window._local = LocalWindow(lambda: 0.0)
    monkeypatch.setattr(meter, "_window", window)
    away = f"redis://127.0.0.1:{free_port()}/0"
    broker = Celery("away", set_as_current=False)
    broker.config_from_object("django.conf:settings", namespace="CELERY")
    broker.conf.broker_url = away
    monkeypatch.setattr(queue, "current_app", broker)
    settings.INTAKE_MAX_WAITING = 1
    queue.find_backlog.cache_clear()
    with override_settings(REDIS_URL=away, CACHE_URL=away, RATE_LIMIT=1):
        assert world.place(world.carol, "buy 1 @ 1").status_code == 503
        for who in (world.alice, world.staff):
            assert [who.call("GET", "/orders").status_code for _ in range(2)] == [200, 429]
            assert who.call("DELETE", "/orders/999999").status_code == 404
        yield world


@pytest.fixture
def committing(django_capture_on_commit_callbacks: Any) -> Any:
    """What is done after a commit, the bells above all, is done in the test too."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def statuses() -> set[str]:
    return set(Order.objects.values_list("status", flat=True))


def test_a_cancel_of_all_orders_goes_through(worst: World, committing: Any) -> None:
    order_id = Order.objects.filter(user=worst.alice.user).earliest("id").id
    assert worst.alice.call("DELETE", f"/orders/{order_id}").status_code == 429
    with committing():
        answer = worst.alice.call("DELETE", "/orders")
    assert (answer.status_code, answer.body["data"]) == (202, {"cancelled": 3})
    worst.match()
    assert set(Order.objects.filter(user=worst.alice.user).values_list("status", flat=True)) == {"CANCELLED"}


def test_a_halt_goes_through(worst: World, committing: Any) -> None:
    with committing():
        answers = [
            worst.staff.call("PATCH", f"/markets/{worst.symbol}", {"status": status})
            for status in ("HALTED", "CANCEL_ONLY", "HALTED")
        ]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert Market.objects.get().status == "HALTED"
    before = stored_rows()
    assert worst.bob.call("PATCH", f"/markets/{worst.symbol}", {"status": "TRADING"}).status_code == 403
    assert worst.bob.call("PATCH", f"/markets/{worst.symbol}", {"status": "TRADING"}).status_code == 429
    assert stored_rows() == before


def test_the_kill_switch_and_staffs_cancels_go_through(worst: World, committing: Any) -> None:
    alice, bob = worst.alice.user.id, worst.bob.user.id
    with committing():
        killed = worst.staff.call("POST", f"/users/{alice}/kill", {"reason": "a runaway algorithm"})
        own = worst.staff.call("DELETE", f"/orders/{Order.objects.filter(user_id=bob).earliest('id').id}")
        rest = worst.staff.call("DELETE", f"/orders?userId={bob}")
    assert (killed.status_code, killed.body["data"]) == (200, {"cancelled": 3, "blocked": True})
    assert (own.status_code, rest.status_code, rest.body["data"]) == (202, 202, {"cancelled": 2})
    worst.match()
    assert statuses() == {"CANCELLED"}
