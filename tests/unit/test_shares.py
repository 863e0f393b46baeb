"""Long requests hold so many threads of a process and no more, those that wait for a place among them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep

import pytest

from base.web import shares
from base.web.shares import Share

LONG = 5.0


@pytest.fixture(autouse=True)
def no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "_shares", [])


def until(share: Share, threads: int) -> None:
    ends = monotonic() + LONG
    while share.threads != threads and monotonic() < ends:
        sleep(0.001)
    assert share.threads == threads


def test_no_more_than_its_share() -> None:
    share = Share(lambda: 2)
    assert [share.take() for _ in range(3)] == [True, True, False]
    share.give_back()
    assert share.take()


def test_its_size_may_change_and_may_be_none() -> None:
    most: list[int | None] = [1]
    share = Share(lambda: most[0])
    assert [share.take(), share.take()] == [True, False]
    most[0] = 2
    assert share.take()
    most[0] = None
    assert all(share.take() for _ in range(50))


def test_what_is_never_refused_counts_against_the_others() -> None:
    share = Share(lambda: 1)
    for _ in range(3):
        share.take_anyway()
    assert not share.take()
    for _ in range(3):
        assert not share.take()
        share.give_back()
    assert share.take()


def test_one_waits_and_the_next_is_refused_at_once() -> None:
    share, _other = Share(lambda: 1), Share(lambda: 1)
    assert share.take()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(share.take, LONG)
        until(share, 2)
        began = monotonic()
        assert not share.take(LONG)
        assert monotonic() - began < LONG / 2
        share.give_back()
        assert waiting.result()
    assert share.threads == 1


def test_whoever_waits_is_not_overtaken() -> None:
    share, _other = Share(lambda: 1), Share(lambda: 1)
    share.take()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(share.take, LONG)
        until(share, 2)
        # Both in one step, so that the one who waits has not woken yet.
        with shares._changed:
            share.give_back()
            assert not share.take()
        assert waiting.result()


def test_nobody_waits_for_ever() -> None:
    share, _other = Share(lambda: 1), Share(lambda: 1)
    share.take()
    assert not share.take(0.01)
    assert share.threads == 1
    share.give_back()
    assert share.take()


def test_nobody_waits_where_the_other_shares_are_taken() -> None:
    batches, exports = Share(lambda: 1), Share(lambda: 2)
    assert batches.take()
    assert exports.take()
    assert exports.take()
    began = monotonic()
    assert not batches.take(LONG)
    assert monotonic() - began < LONG / 2
    exports.give_back()
    assert not batches.take(0.01), "it waited"


def test_a_crowd_never_holds_more() -> None:
    share, _other = Share(lambda: 2), Share(lambda: 1)
    lock, now, seen, got = threading.Lock(), [0], [], []

    def one(_: int) -> None:
        if not share.take(0.05):
            return
        with lock:
            now[0] += 1
            seen.append(now[0])
        sleep(0.001)
        with lock:
            now[0] -= 1
            got.append(1)
        share.give_back()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(200)))
    assert max(seen) == 2
    assert got
    assert share.threads == 0
