"""An audit sees one instant, stops nobody, and is alarmed by nothing while the exchange trades."""

import random
import threading
import time

import pytest
from django.db import DatabaseError, connection

from audit.models import Mode, Outcome
from audit.run import audit, keep
from base.storage.checks import database_faults
from base.storage.snapshot import one_snapshot
from orders.models import Order
from tests.support.orders import all_findings

pytestmark = pytest.mark.dialect


def aside(do) -> None:
    """On a connection of its own."""

    def run():
        try:
            do()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "it waited for the snapshot"


def test_what_is_committed_meanwhile_is_not_seen(transactional_db, world):
    with one_snapshot():
        assert Order.objects.count() == 0
        aside(lambda: world.play(world.alice, "buy 1 @ 90"))
        assert Order.objects.count() == 0
    assert Order.objects.count() == 1


def test_it_begins_before_its_first_read(transactional_db, world):
    with one_snapshot():
        aside(lambda: world.play(world.alice, "buy 1 @ 90"))
        assert Order.objects.count() == 0


def test_nothing_can_be_written(transactional_db, world):
    with pytest.raises(DatabaseError), one_snapshot():
        Order.objects.update(reason=None)
    world.play(world.alice, "buy 1 @ 90")


def test_the_session_is_as_before(transactional_db, world):
    for _ in range(2):
        with one_snapshot():
            assert Order.objects.count() == 0
        assert connection.get_autocommit()
        assert database_faults() == []
    world.play(world.alice, "buy 1 @ 90")


def test_no_alarm_while_the_exchange_trades(transactional_db, world):
    stop, failures, dice = threading.Event(), [], random.Random(7)

    def trade() -> None:
        try:
            while not stop.is_set():
                who, side = dice.choice([(world.alice, "buy"), (world.bob, "sell")])
                world.place(who, f"{side} 0.01 @ {dice.randint(98, 102)}")
                if dice.random() < 0.3:
                    world.match()
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=trade)
    thread.start()
    try:
        until, runs = time.monotonic() + 4, 0
        while time.monotonic() < until:
            for mode in (Mode.QUICK, Mode.FULL, Mode.REPLAY):
                result = audit(mode, [world.symbol])
                findings = result.report and all_findings([result.report])
                assert result.outcome == Outcome.CLEAN, (mode, result.error, findings)
                if mode == Mode.QUICK:
                    keep(result)
                runs += 1
    finally:
        stop.set()
        thread.join(30)
    assert failures == []
    assert runs > 10
    world.match()
