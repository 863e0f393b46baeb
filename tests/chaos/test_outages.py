"""Redis frozen, flushed and killed while clients listen: what they believe is what REST says, five seconds later.

`make test` does one of the three.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.conftest import Part
from tests.support.sampling import SEED, sample
from tools.chaos.outages import KINDS, ROUNDS, Outages


@pytest.mark.timeout(240)
def test_streams_catch_up_after_each_outage(proves: Callable[[Part], None], kind: str, folder: Path) -> None:
    proves(Outages(kind, folder, SEED, ROUNDS["ci"], sample(KINDS, len(KINDS), "outages")))
