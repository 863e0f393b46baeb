"""Whose request has the next thread: of whoever has cost least lately, and heavy ones hold half of the threads."""

from collections.abc import Iterable

from base.servers.turns import HALF_LIFE_SECONDS, Turn, Turns


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def turns(threads: int, clock: Clock, **costs: float) -> Turns[str]:
    """Each of `costs` was served once, and has cost so much."""
    made: Turns[str] = Turns(threads, clock)
    for who, seconds in costs.items():
        made.wait(who, who)
        served(made, made.next(), seconds)
    return made


def served(made: Turns[str], turn: Turn[str] | None, seconds: float) -> None:
    assert turn is not None
    made.served(turn, seconds)


def begun(made: Turns[str], *requests: str) -> list[str]:
    """What is served at once, when these arrive; the first letter is whose they are."""
    for request in requests:
        made.wait(request[0], request)
    return [turn.request for turn in iter(made.next, None)]


def order(made: Turns[str], requests: Iterable[str], seconds: float = 0.01) -> list[str]:
    """In which order they are served, one at a time."""
    for request in requests:
        made.wait(request[0], request)
    answered = []
    while (turn := made.next()) is not None:
        answered.append(turn.request)
        made.served(turn, seconds)
    return answered


def test_many_requests_of_one_client_wait_behind_one_of_another() -> None:
    assert order(turns(1, Clock()), ["a1", "a2", "a3", "b1", "c1"]) == ["a1", "b1", "c1", "a2", "a3"]


def test_who_has_cost_least_is_first() -> None:
    assert order(turns(1, Clock(), a=0.5, b=0.2), ["a1", "b1", "c1", "c2"]) == ["c1", "c2", "b1", "a1"]


def test_what_a_client_cost_is_forgotten_so_it_is_served_in_the_end() -> None:
    clock = Clock()
    made = turns(1, clock, a=0.3, b=0.2)
    clock.seconds += HALF_LIFE_SECONDS
    served(made, (made.wait("b", "b1"), made.next())[1], 0.1)
    assert order(made, ["b2", "a1"]) == ["a1", "b2"]


def test_whoever_costs_more_than_others_leaves_half_of_the_threads_to_them() -> None:
    made = turns(4, Clock(), a=0.5, b=0.01)
    assert begun(made, "a1", "a2", "a3") == ["a1", "a2"]
    assert begun(made, "b1", "c1", "c2") == ["c1", "c2"], "three are at work with b1"


def test_a_client_alone_has_all_threads() -> None:
    assert begun(turns(4, Clock(), a=0.5), *(f"a{number}" for number in range(6))) == ["a0", "a1", "a2", "a3"]
    assert begun(turns(1, Clock(), a=0.5, b=0.1), "a1") == ["a1"], "of one thread a half is one"


def test_many_clients_of_one_cheap_request_make_nobody_heavy() -> None:
    cheap = {f"x{number}": 0.0001 for number in range(500)}
    made = turns(4, Clock(), a=0.1, b=0.1, c=0.5, **cheap)
    assert begun(made, "a1", "b1", "a2", "b2") == ["a1", "b1", "a2", "b2"]
