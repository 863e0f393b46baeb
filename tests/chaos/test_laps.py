"""Clocks, the network, a full disk, a read-only database, a failover, RabbitMQ: each a lap with a verdict of its own.

`make test` runs one of them, with two of its accidents; `make prove` all.
"""

import pytest

from tests.chaos.conftest import needing_a_server
from tests.support.sampling import PROVE, SEED, sample
from tools.chaos.laps import Plan
from tools.chaos.special import LAPS
from tools.rig.packages import UnavailableError


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sample(LAPS, len(LAPS), "laps"))
def test_a_lap_loses_nothing_and_doubles_nothing(
    name: str, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lap = LAPS[name]
    plan = Plan(kind, tmp_path_factory.mktemp("lap"), SEED, lap.rounds["ci"], 0 if PROVE else lap.sampled)
    with needing_a_server():
        try:
            report = lap.run(plan)
        except UnavailableError as reason:
            pytest.skip(f"not run: {reason}")
    print(report.text())
    assert report.wrong == []
