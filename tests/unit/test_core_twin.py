"""The core beside its naive twin: the same commands, the same trades, statuses and balances, after every command."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.commands import MARKETS, commands, random_command
from tests.support.sampling import sample
from tests.support.twin import CoreAndTwin


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    market=st.sampled_from(MARKETS),
    max_steps=st.sampled_from([None, 1, 2, 7]),
    forgetful=st.booleans(),
    stream=st.lists(commands, min_size=1, max_size=40),
)
def test_any_short_stream(market, max_steps, forgetful, stream):
    both = CoreAndTwin(market, max_steps, forgetful)
    for command in stream:
        both.play(command)
        both.compare()
    both.delist(max_steps or 3)
    both.compare_all()


STREAMS = ((None, False, 1), (1, False, 2), (2, True, 3), (7, True, 4))


@pytest.mark.parametrize(("max_steps", "forgetful", "seed"), sample(STREAMS, 4, "core twin"))
def test_five_thousand_random_commands(max_steps, forgetful, seed):
    dice = random.Random(seed)
    both = CoreAndTwin(MARKETS[seed % len(MARKETS)], max_steps, forgetful)
    for _ in range(5_000):
        both.play(random_command(dice))
        both.compare()
    both.compare_all()
    assert_eventful(both)


def assert_eventful(both: CoreAndTwin) -> None:
    """A stream that never reached an ending would prove nothing about it."""
    endings = {(order.status, order.reason) for order in both.twin.orders.values()}
    expected = {
        ("FILLED", None),
        ("CANCELLED", "USER_CANCELLED"),
        ("CANCELLED", "SELF_TRADE"),
        ("REJECTED", "WOULD_TAKE"),
        ("REJECTED", "NO_LIQUIDITY"),
        ("REJECTED", "INSUFFICIENT_FUNDS"),
        ("PARTIALLY_FILLED", "NO_LIQUIDITY"),
        ("PARTIALLY_FILLED", "INSUFFICIENT_FUNDS"),
        ("PARTIALLY_FILLED", "IOC_REMAINDER"),
        ("PARTIALLY_FILLED", "PRICE_PROTECTION"),
        ("REJECTED", "PRICE_PROTECTION"),
        ("EXPIRED", "IOC_REMAINDER"),
        ("EXPIRED", "FOK_NOT_FILLABLE"),
    }
    assert expected <= endings, expected - endings
