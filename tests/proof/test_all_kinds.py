"""The core beside its naive twin with random commands of all order kinds together, compared event by event.

Whatever a transaction holds, and wherever it ends: batches of all sizes, limits of fills, and a market that is built
again from what was stored for each transaction. A million commands, of which `make test` plays two thousand.
"""

import random
from typing import NamedTuple

import pytest

from tests.support.all_kinds import AllKinds, play
from tests.support.commands import MARKETS
from tests.support.kinds import SetStatus
from tests.support.sampling import PROVE, TIMES, dice

pytestmark = pytest.mark.timeout(900 * TIMES)

KINDS = ("stops", "oco", "gtd", "halts", "auction", "amend", "replace", "iceberg", "decrement")
COMMANDS, STREAM = 1_000_000, 1_000
SAMPLED = 2_000


EXPECTED = {
    ("FILLED", None),
    ("CANCELLED", "USER_CANCELLED"),
    ("CANCELLED", "DEAD_MAN_SWITCH"),
    ("CANCELLED", "SELF_TRADE"),
    ("REJECTED", "WOULD_TAKE"),
    ("REJECTED", "NO_LIQUIDITY"),
    ("REJECTED", "INSUFFICIENT_FUNDS"),
    ("REJECTED", "PRICE_PROTECTION"),
    ("REJECTED", "MARKET_HALTED"),
    ("REJECTED", "NOT_IN_AUCTION"),
    ("REJECTED", "NOTHING_TO_REPLACE"),
    ("EXPIRED", "IOC_REMAINDER"),
    ("EXPIRED", "FOK_NOT_FILLABLE"),
    ("PARTIALLY_FILLED", "NO_LIQUIDITY"),
    ("PARTIALLY_FILLED", "PRICE_PROTECTION"),
    ("OPEN", "AMENDED"),
    ("OPEN", "SELF_TRADE"),
    ("WAITING", None),
    ("WAITING", "AMENDED"),
    ("TRIGGERED", "TRIGGERED"),
    ("CANCELLED", "OCO"),
}


class Engine(NamedTuple):
    batch_size: int
    most_fills: int
    forgetful: bool = False


ENGINES = (
    Engine(500, 500),
    Engine(1, 500),
    Engine(1, 1),
    Engine(2, 1, True),
    Engine(7, 2),
    Engine(7, 500, True),
    Engine(50, 3),
    Engine(500, 5, True),
)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_random_commands_of_all_kinds(engine: Engine) -> None:
    length = (COMMANDS * TIMES if PROVE else SAMPLED) // len(ENGINES)
    for start in range(0, length, STREAM):
        lot = dice("all kinds", engine, start)
        both = AllKinds(lot.choice(MARKETS), *engine)
        play(both, lot, min(STREAM, length - start), KINDS)
        both.play(SetStatus("DELISTED"))
        both.drain()
        both.compare_all()


def test_a_stream_of_them_is_eventful() -> None:
    """A stream that never reached an ending would prove nothing about it."""
    seen: set[tuple[str, str | None]] = set()
    for seed, market in enumerate(MARKETS):
        both = AllKinds(market, 50, 5, forgetful=False)
        play(both, random.Random(seed), 700, KINDS)
        seen |= {(event.status, event.reason) for event in both.twin.events}
        assert any(event.reason == "AMEND_REFUSED" for event in both.twin.events)
    missing = EXPECTED - seen
    assert not missing
