"""Two thousand bells lost, doubled, shuffled and late: each order is applied once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.conftest import Part
from tests.support.sampling import SEED
from tools.chaos.bells import COUNTS, Bells


@pytest.mark.timeout(240)
def test_bells_that_are_tampered_with_change_nothing(proves: Callable[[Part], None], kind: str, folder: Path) -> None:
    proves(Bells(kind, folder, SEED, COUNTS["ci"]))
