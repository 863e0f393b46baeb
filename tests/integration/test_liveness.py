"""The pulse stops where a process is stuck."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from exchange.celery import Scheduler
from matching.report import Run
from matching.worker import poller
from matching.worker.heartbeat import Heartbeat
from matching.worker.poller import CommandPoller
from tests.support.live import wait_for


@pytest.fixture
def pulse(tmp_path: Path, settings: Any) -> Path:
    settings.LIVENESS_FILE = str(tmp_path / "pulse")
    return tmp_path / "pulse"


def looking() -> CommandPoller:
    return CommandPoller(lambda: (), Heartbeat("matcher@test", serves_all=True, symbols=()))


def test_a_worker_that_has_nothing_to_do_has_a_pulse(transactional_db: None, pulse: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(poller, "POLL_SECONDS", 0.01)
    own = looking()
    own.start()
    wait_for(pulse.exists, bool)
    pulse.unlink()
    wait_for(pulse.exists, bool)
    own.stop()


def test_a_worker_that_matches_has_a_pulse(pulse: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(poller.drain, "drain", Run)
    poller.match("BTC-USD")
    assert pulse.exists()


def test_a_worker_that_is_stuck_in_a_batch_has_none(pulse: Path, monkeypatch: Any) -> None:
    release, stuck = threading.Event(), threading.Event()

    def drain(_: str) -> None:
        pulse.unlink()
        stuck.set()
        release.wait(10)

    monkeypatch.setattr(poller.drain, "drain", drain)
    thread = threading.Thread(target=poller.match, args=("BTC-USD",))
    thread.start()
    assert stuck.wait(5)
    looking()._touch_liveness_file()
    assert not pulse.exists()
    release.set()
    thread.join()
    looking()._touch_liveness_file()
    assert pulse.exists()


def test_a_full_disk_ends_nobody(settings: Any) -> None:
    settings.LIVENESS_FILE = "/proc/no/such/folder"
    looking()._touch_liveness_file()


def test_the_beat_has_a_pulse(pulse: Path, tmp_path: Path) -> None:
    idle = Celery("idle", set_as_current=False)
    scheduler = Scheduler(app=idle, schedule_filename=str(tmp_path / "schedule"))
    before = time.time() - 1
    assert scheduler.tick() > 0
    scheduler.close()
    assert pulse.stat().st_mtime > before
