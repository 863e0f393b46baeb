"""The pulse stops where a process is stuck, and queues are declared as their broker needs them."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, current_app
from django.test import override_settings

from exchange.beat import Scheduler
from exchange.celery import QUORUM, Declarations
from matching import lookout
from matching.lookout import Lookout
from matching.subscription import Served
from matching.worker import Run
from tests.live import wait_for
from tests.world import World


@pytest.fixture
def pulse(tmp_path: Path, settings: Any) -> Path:
    settings.PULSE_FILE = str(tmp_path / "pulse")
    return tmp_path / "pulse"


def looking() -> Lookout:
    return Lookout(lambda: ())


def test_a_worker_that_has_nothing_to_do_has_a_pulse(transactional_db: None, pulse: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(lookout, "LOOK_EVERY_SECONDS", 0.01)
    own = looking()
    own.start()
    wait_for(pulse.exists, bool)
    pulse.unlink()
    wait_for(pulse.exists, bool)
    own.stop()


def test_a_worker_that_matches_has_a_pulse(pulse: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(lookout.worker, "drain", Run)
    lookout.match("BTC-USD")
    assert pulse.exists()


def test_a_worker_that_is_stuck_in_a_batch_has_none(pulse: Path, monkeypatch: Any) -> None:
    release, stuck = threading.Event(), threading.Event()

    def drain(_: str) -> None:
        pulse.unlink()
        stuck.set()
        release.wait(10)

    monkeypatch.setattr(lookout.worker, "drain", drain)
    thread = threading.Thread(target=lookout.match, args=("BTC-USD",))
    thread.start()
    assert stuck.wait(5)
    looking()._show_pulse()
    assert not pulse.exists()
    release.set()
    thread.join()
    looking()._show_pulse()
    assert pulse.exists()


def test_a_full_disk_ends_nobody(settings: Any) -> None:
    settings.PULSE_FILE = "/proc/no/such/folder"
    looking()._show_pulse()


def test_the_beat_has_a_pulse(pulse: Path, tmp_path: Path) -> None:
    idle = Celery("idle", set_as_current=False)
    scheduler = Scheduler(app=idle, schedule_filename=str(tmp_path / "schedule"))
    before = time.time() - 1
    assert scheduler.tick() > 0
    scheduler.close()
    assert pulse.stat().st_mtime > before


def test_markets_with_a_worker_of_their_own_are_left_to_it(world: World, settings: Any) -> None:
    served = Served(current_app)
    assert served.symbols() == {world.symbol}
    settings.WORKER_EXCEPT = frozenset({world.symbol})
    assert served.symbols() == set()


@pytest.mark.parametrize(("is_redis", "arguments"), [(True, None), (False, QUORUM)])
def test_a_queue_is_declared_as_the_broker_needs_it(is_redis: bool, arguments: Any) -> None:
    with override_settings(IS_REDIS_BROKER=is_redis):
        queues = Declarations(current_app._get_current_object()).Queues(None)
        assert queues["orders.BTC-USD"].queue_arguments == arguments
        assert queues["orders.dlq"].queue_arguments == arguments
