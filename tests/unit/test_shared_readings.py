"""Shared readings: one for all who ask while nothing changes, never one from before the question."""

import threading
import time
from collections.abc import Callable

import pytest

from base.storage import shared_readings
from base.storage.shared_readings import SharedReadings


class Rows:
    """Some rows with a version, which count how often they are read."""

    def __init__(self) -> None:
        self.version, self.read = 1, 0
        self.before_reading: Callable[[], None] = lambda: None
        self.shared: SharedReadings[str, str] = SharedReadings(2, self._versions, self._read)

    def _versions(self, keys: object) -> dict[str, int]:
        return {"a": self.version, "b": 1}

    def _read(self, keys: list[str]) -> list[str]:
        self.before_reading()
        self.read += len(keys)
        return [f"a{self.version}" if key == "a" else f"{key}1" for key in keys]


def test_what_has_not_changed_is_read_once() -> None:
    rows = Rows()
    assert [rows.shared.one("a") for _ in range(3)] == ["a1"] * 3
    assert rows.read == 1
    rows.version = 2
    assert rows.shared.many(["b", "a"]) == ["b1", "a2"]
    assert rows.read == 3
    assert rows.shared.many(["a", "b"]) == ["a2", "b1"]
    assert rows.read == 3


def test_what_changes_while_it_is_read_is_read_again() -> None:
    rows = Rows()

    def change() -> None:
        rows.version = 2
        rows.before_reading = lambda: None

    rows.before_reading = change
    assert rows.shared.one("a") == "a2"
    assert (rows.shared.one("a"), rows.read) == ("a2", 2), "it was kept under the version of before"


def test_what_has_no_version_is_not_kept() -> None:
    rows = Rows()
    assert [rows.shared.one("c") for _ in range(2)] == ["c1"] * 2
    assert rows.read == 2


def test_no_more_are_kept_than_may_be() -> None:
    rows = Rows()
    rows.shared.many(["a", "b"])
    rows.shared = SharedReadings(1, rows._versions, rows._read)
    rows.shared.many(["a", "b"])
    assert (rows.shared.one("b"), rows.read) == ("b1", 4)
    assert (rows.shared.one("a"), rows.read) == ("a1", 5)


def test_those_who_ask_while_somebody_reads_share_the_next_reading() -> None:
    """The version changes with each reading, as in a busy market: twenty who wait are answered by one."""
    rows, going = Rows(), threading.Event()

    def slowly() -> None:
        going.set()
        time.sleep(0.2)
        rows.version += 1

    rows.before_reading = slowly
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(rows.shared.one("a"))) for _ in range(21)]
    threads[0].start()
    going.wait()
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["a2", *["a3"] * 20]
    assert rows.read == 2


def test_a_reading_that_hangs_holds_up_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_readings, "PATIENCE_SECONDS", 0.05)
    rows = Rows()
    with rows.shared._reading:
        assert rows.shared.one("a") == "a1"


def test_a_reading_that_fails_keeps_nothing_and_holds_no_lock() -> None:
    rows = Rows()

    def fail() -> None:
        raise ZeroDivisionError

    rows.before_reading = fail
    with pytest.raises(ZeroDivisionError):
        rows.shared.one("a")
    rows.before_reading = lambda: None
    assert rows.shared.one("a") == "a1"
