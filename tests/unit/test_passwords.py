"""Passwords are hashed apart from the threads of requests: few at once, few that wait, and everybody's turn."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from base.web import passwords
from base.web.errors import SignInsBusy
from base.web.passwords import Hasher, Queue

PLACES = 3


class Bench:
    """A queue whose work ends when the test says so, asked by threads as those of requests."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.go_on = threading.Event()
        self.began: list[str] = []
        self.requests = ThreadPoolExecutor(8)

    def ask(self, owner: str, name: str) -> Future[str]:
        """Returns once the request has its place, or is refused."""
        before = len(self.queue._places)
        asked = self.requests.submit(self.queue.run, owner, lambda: self._work(name))
        until = time.monotonic() + 5
        while len(self.queue._places) == before and not asked.done() and time.monotonic() < until:
            time.sleep(0.001)
        return asked

    def _work(self, name: str) -> str:
        self.began.append(name)
        assert self.go_on.wait(5)
        return name


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench(Queue(1, PLACES))
    yield bench
    bench.go_on.set()
    bench.requests.shutdown()


def test_few_are_hashed_at_once_and_few_wait(bench: Bench) -> None:
    taken = [bench.ask(owner, owner) for owner in "abc"]
    began = time.monotonic()
    with pytest.raises(SignInsBusy):
        bench.queue.run("d", lambda: None)
    assert time.monotonic() - began < 0.1, "refused at once"
    assert bench.began == ["a"], "one at a time"
    bench.go_on.set()
    assert [each.result(5) for each in taken] == ["a", "b", "c"]
    assert bench.queue.run("d", lambda: "done") == "done", "its place is free again"


def test_one_address_keeps_nobody_out(bench: Bench) -> None:
    first, second, third = (bench.ask("a", name) for name in ("first", "second", "third"))
    with pytest.raises(SignInsBusy):
        bench.queue.run("a", lambda: None)
    other = bench.requests.submit(bench.queue.run, "b", lambda: "other")
    with pytest.raises(SignInsBusy):
        third.result(5)
    with pytest.raises(SignInsBusy):
        bench.queue.run("a", lambda: None)
    bench.go_on.set()
    assert [each.result(5) for each in (first, second, other)] == ["first", "second", "other"]


def test_what_is_hashed_is_never_broken_off_for_another() -> None:
    bench = Bench(Queue(1, 1))
    running = bench.ask("a", "running")
    with pytest.raises(SignInsBusy):
        bench.queue.run("b", lambda: None)
    bench.go_on.set()
    assert running.result(5) == "running"
    bench.requests.shutdown()


def test_a_defect_reaches_whoever_asked_and_frees_its_place(bench: Bench) -> None:
    for _ in range(PLACES + 1):
        with pytest.raises(ZeroDivisionError):
            bench.queue.run("a", lambda: 1 / 0)


def test_who_waits_too_long_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    running = bench.ask("a", "running")
    monkeypatch.setattr(passwords, "PATIENCE_SECONDS", 0.05)
    with pytest.raises(SignInsBusy):
        bench.queue.run("b", lambda: bench.began.append("late"))
    bench.go_on.set()
    assert running.result(5) == "running"
    assert bench.queue.run("c", lambda: bench.began) == ["running"], "what was given up is not done"


def test_processes_of_a_machine_take_turns(tmp_path: Path) -> None:
    """Two queues as those of two processes, whose locks know nothing of one another but the file."""
    at_once, most = [0], [0]

    def work() -> None:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        time.sleep(0.02)
        at_once[0] -= 1

    queues = [Queue(1, 4, tmp_path), Queue(1, 4, tmp_path)]
    with ThreadPoolExecutor(8) as requests:
        for asked in [requests.submit(queue.run, "a", work) for queue in queues * 4]:
            asked.result(5)
    assert most == [1]


def test_a_process_that_is_stuck_keeps_the_others_waiting_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "TURN_SECONDS", 0.05)
    stuck, other = Bench(Queue(1, 1, tmp_path)), Queue(1, 1, tmp_path / "no folder")
    running = stuck.ask("a", "running")
    assert Queue(1, 1, tmp_path).run("b", lambda: "done") == "done"
    assert other.run("b", lambda: "done") == "done", "without a file it goes by itself"
    stuck.go_on.set()
    assert running.result(5) == "running"
    stuck.requests.shutdown()


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux alone")
def test_a_hash_gives_way_to_requests() -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = priority()
    assert Queue(1, 1).run("a", priority) == min(before + passwords.NICENESS, 19)
    assert priority() == before


def test_where_no_thread_may_be_nice_passwords_are_checked_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool whose thread could not begin would refuse all work for ever."""

    def forbidden(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setpriority", forbidden)
    queue = Queue(1, PLACES)
    assert [queue.run("a", lambda: "done") for _ in range(2)] == ["done"] * 2


def test_hashes_are_those_of_django_and_another_thread_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    plain = Hasher.__base__

    def encode(self: Any, password: str, salt: Any) -> str:
        threads.append(threading.current_thread().name)
        return f"bcrypt_sha256$hash of {password}"

    monkeypatch.setattr(plain, "encode", encode)
    assert Hasher().verify("secret", "bcrypt_sha256$hash of secret")
    assert not Hasher().verify("other", "bcrypt_sha256$hash of secret")
    assert {name.split("_")[0] for name in threads} == {"passwords"}
