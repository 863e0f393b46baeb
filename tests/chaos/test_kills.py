"""Sixty workers, five databases and ten Redis servers killed while clients trade: nothing lost, nothing doubled."""

from pathlib import Path

import pytest

from chaos.kills import CI, QUICK_AUDITS, Kills


@pytest.mark.timeout(420)
def test_kills_lose_nothing_and_double_nothing(kind: str, seed: int, tmp_path: Path) -> None:
    report = Kills(kind, tmp_path, seed, CI, QUICK_AUDITS["ci"]).run()
    print(report.text())
    assert report.wrong == []
