"""Sixty workers, five databases and ten Redis servers killed while clients trade: nothing lost, nothing doubled."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.conftest import Part
from tools.chaos.kills import CI, QUICK_AUDITS, Kills


@pytest.mark.timeout(420)
def test_kills_lose_nothing_and_double_nothing(
    proves: Callable[[Part], None], kind: str, seed: int, tmp_path: Path
) -> None:
    proves(Kills(kind, tmp_path, seed, CI, QUICK_AUDITS["ci"]))
