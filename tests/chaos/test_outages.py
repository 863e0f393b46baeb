"""Redis frozen, flushed and killed while clients listen: what they believe is what REST says, five seconds later."""

from pathlib import Path

import pytest

from chaos.outages import ROUNDS, Outages


@pytest.mark.timeout(240)
def test_streams_catch_up_after_each_outage(kind: str, seed: int, tmp_path: Path) -> None:
    report = Outages(kind, tmp_path, seed, ROUNDS["ci"]).run()
    print(report.text())
    assert report.wrong == []
