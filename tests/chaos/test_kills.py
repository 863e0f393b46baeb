"""Sixty workers, five databases and ten Redis servers killed while clients trade: nothing lost, nothing doubled.

`make test` kills a sixth of them.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.conftest import Part
from tests.support.sampling import PROVE, SEED
from tools.chaos.killer import Sizes
from tools.chaos.kills import CI, QUICK_AUDITS, Kills

SAMPLE, SAMPLE_AUDITS = Sizes(workers=10, databases=1, redis=2, others=1, pause_seconds=CI.pause_seconds), 4


@pytest.mark.timeout(420)
def test_kills_lose_nothing_and_double_nothing(proves: Callable[[Part], None], kind: str, folder: Path) -> None:
    sizes, audits = (CI, QUICK_AUDITS["ci"]) if PROVE else (SAMPLE, SAMPLE_AUDITS)
    proves(Kills(kind, folder, SEED, sizes, audits))
