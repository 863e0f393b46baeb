"""Correlation ids say when they were made, to the millisecond, and are UUIDs of version 7 to everybody else."""

import uuid
from datetime import UTC, datetime

import pytest

from orders.correlation import made_at, may_be_correlation_id
from orders.terms import new_correlation_id

NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)


def test_an_id_says_when_it_was_made():
    made = new_correlation_id(NOW)
    assert made_at(made) == NOW.replace(microsecond=123000)
    known = uuid.UUID(made)
    assert (known.version, known.variant, known.hex) == (7, uuid.RFC_4122, made)
    assert may_be_correlation_id(made)


def test_no_two_are_the_same():
    assert len({new_correlation_id(NOW) for _ in range(10_000)}) == 10_000


@pytest.mark.parametrize(
    "word",
    [
        "",
        "x",
        "f" * 31,
        uuid.UUID(int=4 << 76 | 2 << 62).hex,
        "F" * 12 + "7" + "a" * 19,
        # Beyond the last year of a clock, and within seconds of it.
        "f" * 12 + "7" + "f" * 3 + "8" + "f" * 15,
        "e677d21fdbff7fff8fffffffffffffff",
    ],
)
def test_other_ids_say_nothing(word):
    assert made_at(word) is None
