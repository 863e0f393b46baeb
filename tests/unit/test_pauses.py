"""The pauses of the lock-out: how they grow, whom they concern, and how they end."""

import itertools

import pytest

from base.web.ratelimit.pauses import FORGIVEN_SECONDS, Keys, LocalPauses, Verdict

FREE, LONGEST = (5, 20, 20), 900


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pauses(clock: Clock) -> LocalPauses:
    return LocalPauses(clock)


def keys(name: str, address: str) -> Keys:
    return Keys(f"{name}@{address}", f"address:{address}", f"name:{name}", f"{name}@{address}:known")


def fail(pauses: LocalPauses, name: str, address: str) -> Verdict:
    """A wrong password, if it was looked at."""
    return pauses.begin(keys(name, address), FREE, LONGEST)


def succeed(pauses: LocalPauses, name: str, address: str) -> bool:
    """The right password; whether it was looked at."""
    verdict = pauses.begin(keys(name, address), FREE, LONGEST)
    if verdict.is_let_in:
        pauses.take_back(keys(name, address), verdict, is_right=True)
    return verdict.is_let_in


def test_each_failure_doubles_the_pause(pauses: LocalPauses, clock: Clock) -> None:
    waits = []
    for _ in range(20):
        assert fail(pauses, "alice", "a").is_let_in
        refused = fail(pauses, "alice", "a")
        waits.append(round(refused.wait_seconds))
        clock.seconds += refused.wait_seconds
        if refused.is_let_in:
            pauses.take_back(keys("alice", "a"), refused, is_right=False)
    assert waits[:4] == [0, 0, 0, 0], "everybody mistypes"
    assert waits[4:] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, *[LONGEST] * 6]


def test_what_is_refused_counts_for_nothing(pauses: LocalPauses, clock: Clock) -> None:
    for _ in range(100):
        fail(pauses, "alice", "a")
    clock.seconds += 1.001
    assert succeed(pauses, "alice", "a"), "the pause of the fifth failure is a second"


def test_the_right_password_ends_the_count_of_the_name_and_not_that_of_the_address(
    pauses: LocalPauses, clock: Clock
) -> None:
    """Or else who has an account could guess at all others for ever, with a sign-in of their own in between."""
    for number in range(40):
        fail(pauses, f"user-{number}", "a")
        succeed(pauses, "own", "a")
    assert not fail(pauses, "another", "a").is_let_in
    assert fail(pauses, "another", "b").is_let_in


def test_whoever_mistypes_and_then_does_not_costs_their_address_nothing(pauses: LocalPauses, clock: Clock) -> None:
    for number in range(40):
        for _ in range(4):
            assert fail(pauses, f"user-{number}", "office").is_let_in
        assert succeed(pauses, f"user-{number}", "office")


def test_an_address_is_nothing_to_another(pauses: LocalPauses) -> None:
    while fail(pauses, "alice", "a").is_let_in:
        pass
    assert succeed(pauses, "alice", "b")
    assert not succeed(pauses, "alice", "a")
    assert succeed(pauses, "bob", "a")


def guess_from_everywhere(pauses: LocalPauses) -> None:
    addresses = (f"192.0.2.{number}" for number in itertools.count())
    while fail(pauses, "alice", next(addresses)).is_let_in:
        pass


def test_strangers_lock_out_strangers_and_never_the_owner(pauses: LocalPauses) -> None:
    assert succeed(pauses, "alice", "home")
    guess_from_everywhere(pauses)
    assert not succeed(pauses, "alice", "far away")
    assert succeed(pauses, "alice", "home"), "where she has signed in before"
    assert succeed(pauses, "bob", "far away")


def test_an_outage_counts_for_nothing(pauses: LocalPauses) -> None:
    for _ in range(50):
        verdict = fail(pauses, "alice", "a")
        assert verdict.is_let_in
        pauses.take_back(keys("alice", "a"), verdict, is_right=False)


def test_failures_are_forgiven_one_by_one(pauses: LocalPauses, clock: Clock) -> None:
    for _ in range(5):
        fail(pauses, "alice", "a")
    clock.seconds += 2 * FORGIVEN_SECONDS
    assert [fail(pauses, "alice", "a").is_let_in for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("lifted", ["name:alice", "address:a"])
def test_what_is_lifted_may_be_tried_again(pauses: LocalPauses, clock: Clock, lifted: str) -> None:
    while fail(pauses, "alice", "a").is_let_in:
        pass
    clock.seconds += 0.001
    pauses.lift(lifted)
    clock.seconds += 0.001
    assert [fail(pauses, "alice", "a").is_let_in for _ in range(6)] == [*[True] * 5, False]
