"""A polite client trades while others attack: none of its requests fails, and the money is right afterwards.

`make test` draws two attackers for seconds each. How much slower the polite client is, `make siege` measures on a
machine that has nothing else to do.
"""

import os
from pathlib import Path

import pytest

from tests.support.sampling import PROVE, SEED, dice
from tools.rig.packages import UnavailableError
from tools.siege.attackers import ATTACKERS
from tools.siege.campaign import Campaign

DRAWN, SECONDS = 2, 2.0
# Of requests and events, on a machine that runs other tests beside this one.
FLOOR_MS = 5000.0


@pytest.mark.timeout(420)
def test_nobody_stops_the_others(tmp_path_factory: pytest.TempPathFactory) -> None:
    if not os.environ.get("DATABASE_URL", "").startswith("mysql"):
        pytest.skip("the stack is besieged on MySQL")
    attackers = ATTACKERS if PROVE else dice("siege").sample(ATTACKERS, DRAWN)
    # Its path is short, because the address of a socket must not be longer than 107 characters.
    folder: Path = tmp_path_factory.mktemp("siege")
    try:
        report = Campaign(folder, SEED, attackers, SECONDS, 1, FLOOR_MS).run()
    except UnavailableError as reason:
        pytest.skip(f"no server to be besieged can be had here: {reason}")
    print(report.text())
    assert report.wrong == []
    assert "clean" in dict(report.facts)["audit"]
