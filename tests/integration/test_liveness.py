"""A worker touches its liveness file, unless it is stuck."""

import threading
from pathlib import Path
from typing import Any

import pytest

from matching.report import Run
from matching.worker import poller
from matching.worker.heartbeat import Heartbeat
from matching.worker.poller import CommandPoller
from tests.support.live import wait_for


@pytest.fixture
def alive(tmp_path: Path, settings: Any) -> Path:
    settings.LIVENESS_FILE = str(tmp_path / "alive")
    return tmp_path / "alive"


def new_poller() -> CommandPoller:
    return CommandPoller(lambda: (), Heartbeat("matcher@test", serves_all=True, symbols=()))


def test_a_worker_that_has_nothing_to_do_touches_it(transactional_db: None, alive: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(poller, "POLL_SECONDS", 0.01)
    own = new_poller()
    own.start()
    wait_for(alive.exists, bool)
    alive.unlink()
    wait_for(alive.exists, bool)
    own.stop()


def test_a_worker_that_matches_touches_it(alive: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(poller.drain, "drain", Run)
    poller.match("BTC-USD")
    assert alive.exists()


def test_a_worker_that_is_stuck_in_a_batch_does_not(alive: Path, monkeypatch: Any) -> None:
    release, stuck = threading.Event(), threading.Event()

    def drain(_: str) -> None:
        alive.unlink()
        stuck.set()
        release.wait(10)

    monkeypatch.setattr(poller.drain, "drain", drain)
    thread = threading.Thread(target=poller.match, args=("BTC-USD",))
    thread.start()
    assert stuck.wait(5)
    new_poller()._touch_liveness_file()
    assert not alive.exists()
    release.set()
    thread.join()
    new_poller()._touch_liveness_file()
    assert alive.exists()


def test_a_full_disk_ends_nobody(settings: Any) -> None:
    settings.LIVENESS_FILE = "/proc/no/such/folder"
    new_poller()._touch_liveness_file()
