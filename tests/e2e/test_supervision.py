"""The demo's logs stay short while its processes write them."""

from pathlib import Path

import pytest

from tools.demo import supervision
from tools.rig.process import Process, wait_for


def test_a_long_log_is_copied_and_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "LOG_BYTES", 200)
    log, older = tmp_path / "talker.log", tmp_path / "talker.log.1"
    with Process("talker", ("sh", "-c", "while :; do echo a line; sleep 0.01; done"), log).start():
        wait_for(lambda: log.stat().st_size > 200)
        supervision.shorten(log)
        assert older.stat().st_size > 200
        assert log.stat().st_size < 200
        wait_for(lambda: log.stat().st_size > 20)
    assert set(log.read_text().splitlines()) == {"a line"}, "it appends, and leaves no hole"
