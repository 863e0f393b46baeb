"""Sixty workers, five databases and ten Redis servers killed while clients trade: nothing lost, nothing doubled.

`make test` kills a sixth of them.
"""

import pytest

from tests.support.sampling import PROVE, SEED
from tools.chaos.exchange import Exchange
from tools.chaos.killer import Sizes
from tools.chaos.kills import CI, QUICK_AUDITS, Kills

SAMPLE, SAMPLE_AUDITS = Sizes(workers=10, databases=1, redis=2, others=1, pause_seconds=CI.pause_seconds), 4


@pytest.mark.timeout(420)
def test_kills_lose_nothing_and_double_nothing(exchange: Exchange) -> None:
    sizes, audits = (CI, QUICK_AUDITS["ci"]) if PROVE else (SAMPLE, SAMPLE_AUDITS)
    report = Kills(SEED, sizes, audits).run(exchange)
    print(report.text())
    assert report.wrong == []
