"""Which workers are there: what they say of themselves, and when they are believed no longer."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from matching.models import WorkerHeartbeat
from matching.worker import heartbeat
from matching.worker.heartbeat import Heartbeat, live_workers
from tests.support.world import World

pytestmark = pytest.mark.dialect


@pytest.fixture(autouse=True)
def always_due(monkeypatch):
    monkeypatch.setattr(heartbeat, "REFRESH_SECONDS", 0)


def worker(*symbols: str, name: str = "matcher@host") -> Heartbeat:
    """One that was started with -Q for these markets, or without: for all."""
    heartbeat = Heartbeat(name, serves_all=not symbols, symbols=symbols)
    heartbeat.refresh()
    return heartbeat


def age(**ago: float) -> None:
    WorkerHeartbeat.objects.update(seen_at=Now() - timedelta(**ago))


def test_a_market_that_nobody_serves(world: World):
    assert live_workers() == {"BTC-USD": 0}


def test_workers_are_counted_for_the_markets_they_serve(world: World):
    worker()
    worker("BTC-USD", "ETH-USD")
    worker("ETH-USD")
    assert live_workers() == {"BTC-USD": 2}
    assert live_workers(["BTC-USD", "ETH-USD", "AAA-USD"]) == {"BTC-USD": 2, "ETH-USD": 3, "AAA-USD": 1}


def test_one_for_all_the_others(world: World):
    Heartbeat("matcher@host", serves_all=True, symbols={"BTC-USD"}).refresh()
    assert live_workers(["BTC-USD", "ETH-USD"]) == {"BTC-USD": 0, "ETH-USD": 1}


def test_one_that_is_not_seen_is_not_believed(world: World):
    alive = worker()
    age(seconds=14)
    assert live_workers() == {"BTC-USD": 1}
    age(seconds=16)
    assert live_workers() == {"BTC-USD": 0}
    age(seconds=-3600)
    assert live_workers() == {"BTC-USD": 0}, "the database's clock stepped back by an hour"
    alive.refresh()
    assert live_workers() == {"BTC-USD": 1}
    assert WorkerHeartbeat.objects.count() == 1


def test_one_that_ends_is_forgotten(world: World):
    ended, other = worker(), worker()
    ended.remove()
    assert live_workers() == {"BTC-USD": 1}
    other.remove()
    assert not WorkerHeartbeat.objects.exists()


def test_one_that_was_killed_is_forgotten_in_an_hour(world: World):
    worker(name="killed@host")
    age(minutes=59)
    worker(name="other@host")
    assert WorkerHeartbeat.objects.count() == 2
    WorkerHeartbeat.objects.filter(name="killed@host").update(seen_at=Now() - timedelta(minutes=61))
    worker(name="third@host")
    assert set(WorkerHeartbeat.objects.values_list("name", flat=True)) == {"other@host", "third@host"}


def test_one_that_was_away_for_an_hour_comes_back(world: World):
    back = worker()
    WorkerHeartbeat.objects.all().delete()
    back.refresh()
    assert live_workers() == {"BTC-USD": 1}


def test_it_touches_its_own_table_alone(world: World):
    """Never a book's row, nor anything that the engine or intake would wait for."""
    heartbeat = worker()
    with CaptureQueriesContext(connection) as queries:
        heartbeat.refresh()
    assert len(queries) == 2
    assert {"workers"} == {
        query["sql"].replace("`", '"').split('"')[1] for query in queries if "UPDATE" in query["sql"]
    }
    assert all("workers" in query["sql"] for query in queries)


def test_it_is_said_every_few_seconds_and_no_oftener(world: World, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr("matching.worker.heartbeat.REFRESH_SECONDS", 5.0)
    heartbeat = worker()
    with django_assert_num_queries(0):
        heartbeat.refresh()
