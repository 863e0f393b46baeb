"""Redis frozen, flushed and killed while clients listen: what they believe is what REST says, five seconds later.

`make test` does one of the three.
"""

import pytest

from tests.support.sampling import SEED, sample
from tools.chaos.exchange import Exchange
from tools.chaos.laps import Lap
from tools.chaos.outages import OUTAGES, ROUNDS


@pytest.mark.timeout(240)
def test_streams_catch_up_after_each_outage(exchange: Exchange) -> None:
    kinds = sample(OUTAGES.accidents, len(OUTAGES.accidents), "outages")
    report = Lap(exchange, OUTAGES, SEED, ROUNDS["ci"], kinds).run()
    print(report.text())
    assert report.wrong == []
