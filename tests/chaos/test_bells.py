"""Two thousand bells lost, doubled, shuffled and late: each order is applied once."""

from pathlib import Path

import pytest

from chaos.bells import COUNTS, Bells


@pytest.mark.timeout(240)
def test_bells_that_are_tampered_with_change_nothing(kind: str, seed: int, tmp_path: Path) -> None:
    report = Bells(kind, tmp_path, seed, COUNTS["ci"]).run()
    print(report.text())
    assert report.wrong == []
