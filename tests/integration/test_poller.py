"""A worker that hears no bell: what it looks after by itself, and what must not stop it."""

import os
import time
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.db import connections

from commands import queue
from commands.models import Command
from core import market as core_market
from markets.services import create_market
from matching import drain
from matching.models import OrderBook
from matching.worker import poller
from matching.worker.heartbeat import Heartbeat, live_workers
from matching.worker.poller import CommandPoller
from orders.models import Order
from tests.support.live import wait_for
from tests.support.tape import parse
from tests.support.world import World, outcome

pytestmark = pytest.mark.dialect


@pytest.fixture
def stale_markets(transactional_db) -> World:
    """Alice's bid waits, and nobody was told. A poller that has just begun takes it for old."""
    world = World.make()
    world.place(world.alice, "buy 1 @ 100")
    return world


def look(*symbols: str) -> bool:
    return poller_for(*symbols).poll()


def clock_of(monkeypatch) -> SimpleNamespace:
    """The monotonic clock of this process, later by `seconds`."""
    passed, began = SimpleNamespace(seconds=0.0), time.monotonic()
    monkeypatch.setattr(queue, "monotonic", lambda: began + passed.seconds)
    return passed


def poller_for(*symbols: str) -> CommandPoller:
    return CommandPoller(lambda: symbols, Heartbeat("matcher@test", serves_all=False, symbols=symbols))


def test_it_drains_what_nobody_was_told_of(stale_markets):
    assert look("BTC-USD")
    assert Order.objects.get().status == "OPEN"
    assert not look("BTC-USD")


def test_it_leaves_other_workers_markets_alone(stale_markets):
    assert not look("ETH-USD")
    assert Order.objects.get().status == "PENDING"


@pytest.mark.parametrize("came", ["2026-01-01T00:00:00Z", "2126-01-01T00:00:00Z"])
def test_what_is_new_is_left_to_its_bell_for_a_second(transactional_db, monkeypatch, came):
    """Whatever the clock of the host said that stored it: one that was ahead would make it wait for as long."""
    passed, own, world = clock_of(monkeypatch), poller_for("BTC-USD"), World.make()
    assert not own.poll()
    world.place(world.alice, "buy 1 @ 100")
    Command.objects.update(created_at=came)
    assert not own.poll()
    passed.seconds = 1
    assert own.poll()


def test_a_market_is_stale_however_many_commands_come_after(transactional_db, monkeypatch):
    """Orders keep coming and none of their bells rings: the first of them must not wait for the last."""
    passed, own, world = clock_of(monkeypatch), poller_for("BTC-USD"), World.make()
    assert not own.poll()
    world.place(world.alice, "buy 1 @ 100")
    assert not own.poll()
    world.place(world.alice, "buy 1 @ 100")
    passed.seconds = 1
    assert own.poll()


def test_what_a_run_left_has_waited_long_enough(stale_markets, settings):
    """Without it a backlog would wait a second for each time box."""
    stale_markets.place(stale_markets.alice, "buy 1 @ 100")
    settings.ENGINE_BATCH_SIZE, settings.ENGINE_TIME_BOX_SECONDS = 1, 0
    own = poller_for("BTC-USD")
    assert own.poll()
    assert own.poll()
    assert not own.poll()


def test_a_worker_at_work_is_not_disturbed(stale_markets):
    with poller._turn:
        assert not look("BTC-USD")


def test_a_broken_market_keeps_no_other_waiting(stale_markets):
    """Its inbox stays, so it comes first in every look."""
    create_market(symbol="AAA-USD", base="BTC", quote="USD", tick_size=Decimal(1), lot_size=Decimal(1))
    body = parse("buy 1 @ 1").body("AAA-USD")
    broken = stale_markets.alice.call("POST", "/orders", body).body["data"]["orderId"]
    OrderBook.objects.create(market_id="AAA-USD", unfinished_order_id=999)
    assert look("AAA-USD", "BTC-USD")
    assert {order.market_id: order.status for order in Order.objects.all()} == {"BTC-USD": "OPEN", "AAA-USD": "PENDING"}
    assert OrderBook.objects.get(market_id="AAA-USD").status == "HALTED"
    OrderBook.objects.filter(market_id="AAA-USD").update(unfinished_order_id=None)
    drain.drain("AAA-USD")
    assert outcome(stale_markets.alice.get(f"/orders/{broken}")) == "1 rejected market_halted"


def test_a_database_that_is_away_is_looked_for_again(stale_markets, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("commands.queue.Command", None)
        assert not look("BTC-USD")
    assert look("BTC-USD")


def test_what_is_given_up_was_work(stale_markets, monkeypatch, settings):
    """Without it a backlog would wait a second for each order that fails."""
    settings.ENGINE_RETRY_MS = []
    monkeypatch.setattr(drain, "prepare", None)
    assert look("BTC-USD")
    assert Order.objects.get().status == "FAILED"


def test_it_says_that_it_is_there_until_it_ends(stale_markets, monkeypatch):
    monkeypatch.setattr(poller, "POLL_SECONDS", 0.01)
    thread = poller_for("BTC-USD")
    thread.start()
    wait_for(live_workers, lambda alive: alive == {"BTC-USD": 1})
    thread.stop()
    assert live_workers() == {"BTC-USD": 0}


def test_it_drains_though_it_cannot_say_that_it_is_there(stale_markets, monkeypatch):
    """As on the morning on which the worker is newer than the database's tables."""
    monkeypatch.setattr("matching.worker.heartbeat.WorkerHeartbeat", None)
    assert look("BTC-USD")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_takes_its_turn_and_has_a_thread_of_its_own(transactional_db):
    """Celery forks a new child from a parent in whose threads anything may be going on."""
    drain.run_in_background(int).result(5)
    connections.close_all()
    with poller._turn:
        child = os.fork()
        if child == 0:
            is_well = poller._turn.acquire(timeout=1) and drain.run_in_background(int).result(5) == 0
            os._exit(0 if is_well else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_it_looks_at_stops_that_are_due_without_a_command(transactional_db, settings, monkeypatch):
    """An order was given up on its way, and the worker died before it looked at what that had made due."""
    world = World.make()
    settings.ENGINE_FILLS_PER_TRANSACTION, settings.ENGINE_RETRY_MS = 1, []
    for line in ("buy 1 @ 100", "buy 1 @ 95", "buy 1 @ 90"):
        world.play(world.alice, line)
    stop = world.play(world.bob, "sell 1 @ market stop 98")["orderId"]
    real = core_market.place

    def place(book, taker, max_steps=None):
        assert taker.filled < 200_000_000, "nobody thought of this"
        return real(book, taker, max_steps)

    with monkeypatch.context() as patch:
        patch.setattr(core_market, "place", place)
        patch.setattr(drain, "is_waiting", lambda symbol: Command.objects.exists())
        world.place(world.bob, "sell 3 @ 80")
        for _ in range(3):
            world.match()
    assert (world.bob.get(f"/orders/{stop}")["status"], OrderBook.objects.get().is_cascading) == ("WAITING", True)
    look("BTC-USD")
    look("BTC-USD")
    assert (world.bob.get(f"/orders/{stop}")["status"], OrderBook.objects.get().is_cascading) == ("FILLED", False)
