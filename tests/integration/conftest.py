"""The running exchange that the scenario tests share: real processes on a database of their own."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from tests.live import Live, start_exchange, wait_for


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: object) -> Iterator[Live]:
    """Web, worker and beat as a team would run them, shared by the session; each test makes its own market."""
    folder = tmp_path_factory.mktemp("exchange")
    redis_url = os.environ.get("REDIS_URL", "").rpartition("/")[0]
    assert redis_url, "no REDIS_URL: run the tests by `make test` or `python -m scripts.test`, which start the servers"
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        yield from _running(folder, f"sqlite:///{folder / 'live.sqlite3'}", redis_url)
        return
    name = f"live_{secrets.token_hex(4)}"
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        _execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            yield from _running(folder, os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}", redis_url)
        finally:
            _execute(f"DROP DATABASE {name}")


def _running(folder: Path, database_url: str, redis_url: str) -> Iterator[Live]:
    live = start_exchange(folder, database_url, redis_url)
    try:
        yield live
        wait_for(lambda: live.manage("shell", "-v", "0", "-c", WAITING), lambda printed: printed.strip() == "0")
        live.manage("shell", "-v", "0", "-c", "from tests.invariants import check_exchange; check_exchange()")
    finally:
        live.stop()


WAITING = "from matching.models import Command; print(Command.objects.count())"


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
