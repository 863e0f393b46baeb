"""The running exchange that the scenario tests share: real processes on a database of their own."""

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from tests.support.audits import counted_exchange
from tests.support.live import Live


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> Iterator[Live]:
    """Web, worker and beat as a team would run them, shared by the session; each test makes its own market."""
    with counted_exchange(tmp_path_factory.mktemp("exchange"), django_db_blocker) as live:
        yield live
