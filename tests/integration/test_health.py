"""GET /health/live and /health/ready: what somebody who does not sign in may know."""

from decimal import Decimal
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, transaction
from django.db.models import F
from django.test import Client, override_settings

from base.storage.fields import amount as stored
from base.storage.snapshot import one_snapshot
from matching.worker.heartbeat import Heartbeat, live_workers
from operations import health
from orders.models import Order
from tests.support.contract import check_answer
from tests.support.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.dialect]


@pytest.fixture(autouse=True)
def beat() -> Heartbeat:
    """One is alive, as it should be."""
    heartbeat = Heartbeat("beat@host", is_beat=True)
    heartbeat.refresh()
    return heartbeat


def ready() -> tuple[int, dict]:
    response = Client().get("/health/ready")
    return response.status_code, response.json()


def test_live(django_assert_num_queries):
    with django_assert_num_queries(0):
        response = Client().get("/health/live")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert "Cookie" not in response.headers.get("Vary", "")


def test_an_idle_exchange(django_assert_num_queries):
    with django_assert_num_queries(6):
        status, state = ready()
    assert status == 200
    assert state == {
        "status": "ok",
        "database": "ok",
        "redis": "ok",
        "oldestCommandSeconds": None,
        "workers": {},
        "beats": 1,
        "lastAudit": None,
    }


def test_an_open_market_without_a_worker(world: World):
    """Its orders are stored all the same: no reason for a load balancer to send them elsewhere."""
    status, state = ready()
    assert (status, state["status"], state["workers"]) == (200, "degraded", {"BTC-USD": 0})
    worker = Heartbeat("matcher@host", serves_all=True, symbols=())
    worker.refresh()
    status, state = ready()
    assert (status, state["status"], state["workers"]) == (200, "ok", {"BTC-USD": 1})


def test_a_schedule_that_nobody_sends(beat: Heartbeat):
    """It is no worker: a market without one stays without one."""
    assert live_workers(["BTC-USD"]) == {"BTC-USD": 0}
    beat.remove()
    status, state = ready()
    assert (status, state["status"], state["beats"]) == (200, "degraded", 0)


def test_a_halted_market_needs_no_worker(world: World):
    world.switch("HALTED")
    status, state = ready()
    assert (status, state["status"], state["workers"]) == (200, "ok", {})


def test_the_oldest_command(world: World):
    world.place(world.alice, "buy 1 @ 90")
    _, state = ready()
    assert 0 <= state["oldestCommandSeconds"] < 60


def test_the_last_audit_and_no_details(world: World):
    world.play(world.alice, "buy 1 @ 90")
    with transaction.atomic():
        Order.objects.update(frozen=F("frozen") + stored(Decimal(1)))
        with pytest.raises(SystemExit):
            call_command("audit", "--quick")
        status, state = ready()
        assert status == 200
        assert state["lastAudit"].keys() == {"mode", "at", "findings"}
        assert (state["lastAudit"]["mode"], state["lastAudit"]["findings"]) == ("quick", 2)
        transaction.set_rollback(True)


def test_an_audit_that_could_not_run_does_not_look_clean(world: World):
    with pytest.raises(CommandError):
        call_command("audit", "--replay", "DOGE-USD")
    assert ready()[1]["lastAudit"]["findings"] is None


def test_without_redis_it_is_ready():
    with override_settings(REDIS_URL="redis://127.0.0.1:1"):
        status, state = ready()
    assert (status, state["status"], state["redis"]) == (200, "ok", "away")


def test_without_a_database_it_is_not():
    with mock.patch.object(health.Command, "objects") as commands:
        commands.order_by.side_effect = OperationalError("gone")
        status, state = ready()
    assert (status, state["status"], state["database"]) == (503, "unavailable", "away")


@pytest.mark.django_db(transaction=True)
def test_with_a_database_that_takes_no_writes_it_is_not():
    World.make()
    with one_snapshot():
        status, state = ready()
    assert (status, state["status"], state["database"]) == (503, "unavailable", "read-only")
    # What can be read is shown all the same.
    assert state["workers"] == {"BTC-USD": 0}
    check_answer("GET", "/health/ready", status, "application/json", state)


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_they_are_only_read(path):
    assert Client().post(path).status_code == 405
