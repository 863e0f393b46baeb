"""Whose request has the next thread: whoever comes sooner than it was told has one at a time, behind everybody else."""

import pytest

from base.servers.turns import PATIENCE_SECONDS, REMEMBERED_SECONDS, Turn, Turns


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def turns(clock: Clock) -> Turns[str]:
    """Four threads; f and g flood."""
    turns: Turns[str] = Turns(4, clock)
    turns.came_too_soon("f")
    turns.came_too_soon("g")
    return turns


def begun(turns: Turns[str], *requests: str) -> list[str]:
    """What is served at once, when these arrive; the first letter is whose they are."""
    for request in requests:
        turns.wait(request[0], request)
    return [turn.request for turn in iter(turns.next, None)]


def served(turns: Turns[str], request: str) -> list[str]:
    """What is served next, when this is done."""
    turns.served(Turn(request, is_impatient=request[0] in "fg"))
    return begun(turns)


def test_who_keeps_to_what_it_is_told_is_served_as_it_comes(turns: Turns[str]) -> None:
    assert begun(turns, "a1", "a2", "b1", "a3", "a4", "c1") == ["a1", "a2", "b1", "a3"]
    assert served(turns, "b1") == ["a4"]
    assert served(turns, "a1") == ["c1"]


def test_a_flood_has_one_thread_whoever_floods(turns: Turns[str]) -> None:
    assert begun(turns, "f1", "f2", "g1", "a1", "a2", "a3") == ["a1", "a2", "a3", "f1"]
    assert served(turns, "a1") == []
    assert served(turns, "f1") == ["f2"]
    assert served(turns, "f2") == ["g1"]


def test_a_flood_waits_behind_everybody_else_but_not_for_ever(turns: Turns[str], clock: Clock) -> None:
    assert begun(turns, "a1", "a2", "a3", "a4", "f1", "a5", "a6", "a7") == ["a1", "a2", "a3", "a4"]
    assert served(turns, "a1") == ["a5"]
    clock.seconds += PATIENCE_SECONDS
    assert served(turns, "a2") == ["f1"]
    assert served(turns, "a3") == ["a6"]


def test_who_has_stopped_is_served_as_all_others(turns: Turns[str], clock: Clock) -> None:
    clock.seconds += REMEMBERED_SECONDS
    assert begun(turns, "f1", "f2", "f3") == ["f1", "f2", "f3"]


def test_one_thread_serves_all(clock: Clock) -> None:
    turns: Turns[str] = Turns(1, clock)
    turns.came_too_soon("f")
    assert begun(turns, "f1", "a1", "f2") == ["a1"]
    assert served(turns, "a1") == ["f1"]
    assert served(turns, "f1") == ["f2"]
