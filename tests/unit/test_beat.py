"""Beat keeps sending what is scheduled, whatever happens to its folder and to the clock."""

import os
import queue
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from base.telemetry import liveness
from exchange.celery import Scheduler
from matching.worker import tasks

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 20


def scheduler_of(**seconds: float) -> Scheduler:
    app = Celery("beat", set_as_current=False)
    app.conf.beat_schedule = {name: {"task": name, "schedule": pause} for name, pause in seconds.items()}
    scheduler = Scheduler(app=app)
    # Celery connects to the broker for one.
    scheduler.__dict__["producer"] = None
    return scheduler


def sent_within(scheduler: Scheduler, seconds: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tasks that beat sends, one tick after the other."""
    names: list[str] = []
    monkeypatch.setattr(scheduler, "apply_entry", lambda entry, **_: names.append(entry.name))
    start = scheduler.app.now()
    passed = 0.0
    while passed < seconds:
        monkeypatch.setattr(scheduler.app, "now", lambda at=start + timedelta(seconds=passed): at)
        # Celery asks for no pause where less than ten milliseconds are left.
        passed += max(scheduler.tick(), 0.005)
    return names


def test_it_touches_the_liveness_file_though_nothing_is_scheduled(tmp_path: Path, settings: Any) -> None:
    settings.LIVENESS_FILE = str(tmp_path / "alive")
    assert 0 < scheduler_of().tick() <= 1
    assert (tmp_path / "alive").stat().st_mtime > time.time() - 5


@pytest.mark.parametrize("step", [timedelta(seconds=90), timedelta(hours=1), timedelta(days=400)], ids=str)
def test_after_the_clock_steps_back_the_schedule_goes_on(step: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = scheduler_of(often=1, seldom=30)
    before = sent_within(scheduler, 61, monkeypatch)
    assert (before.count("often"), before.count("seldom")) == (60, 2)
    now = scheduler.app.now()
    monkeypatch.setattr(scheduler.app, "now", lambda: now - step)
    after = sent_within(scheduler, 61, monkeypatch)
    assert (after.count("often"), after.count("seldom")) == (60, 2)


def test_its_heartbeat_stops_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renewed after each tick, and not while the scheduler hangs; a database that is away ends nothing."""
    renewed: queue.SimpleQueue[float] = queue.SimpleQueue()

    class Heartbeats:
        def __init__(self, name: str, *, is_beat: bool) -> None:
            assert (name.startswith("beat@"), is_beat) == (True, True)

        def refresh(self) -> None:
            renewed.put(time.monotonic())
            if renewed.qsize() == 1:
                raise OSError("the database is away")

    monkeypatch.setattr("matching.worker.beat.Heartbeat", Heartbeats)
    # Earlier tests of this process may have left it set.
    liveness.touched.clear()
    tasks.beat.begin_heartbeat()
    for _ in range(2):
        scheduler_of().tick()
        assert renewed.get(timeout=5)
    with pytest.raises(queue.Empty):
        renewed.get(timeout=1.5)


def test_a_schedule_file_that_lost_its_content_does_not_end_it(tmp_path: Path) -> None:
    """Celery's own scheduler keeps such files, and dies at each start where the directory is longer than the data."""
    (tmp_path / "beat.dat").touch()
    (tmp_path / "beat.dir").write_text("'entries', (0, 427)\n")
    alive = tmp_path / "alive"
    beat = subprocess.Popen(
        [sys.executable, "-m", "celery", "--quiet", "-A", "exchange", "beat", "--pidfile", ""],
        cwd=ROOT,
        env={**os.environ, "DATA_DIR": str(tmp_path), "LIVENESS_FILE": str(alive), "BROKER_URL": "redis://127.0.0.1:1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not alive.exists():
            assert beat.poll() is None, beat.stderr and beat.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        beat.terminate()
        beat.communicate(timeout=10)
