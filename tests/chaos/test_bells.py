"""Two thousand bells lost, doubled, shuffled and late, half of them in `make test`: each order is applied once."""

import pytest

from tests.chaos.conftest import needing_a_server
from tests.support.sampling import PROVE, SEED
from tools.chaos.bells import COUNTS, Bells


@pytest.mark.timeout(240)
def test_bells_that_are_tampered_with_change_nothing(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    count = COUNTS["ci"] if PROVE else COUNTS["ci"] // 2
    with needing_a_server():
        report = Bells(kind, tmp_path_factory.mktemp("bells"), SEED, count).run()
    print(report.text())
    assert report.wrong == []
