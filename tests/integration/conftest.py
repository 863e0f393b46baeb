"""The running exchange that the scenario tests share: real processes on a database of their own."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from scripts.servers import start_redis
from tests.live import Live, start_exchange, wait_for


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: object) -> Iterator[Live]:
    """Web, worker and beat as a team would run them, shared by the session; each test makes its own market."""
    folder = tmp_path_factory.mktemp("exchange")
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        yield from _running(folder, f"sqlite:///{folder / 'live.sqlite3'}")
        return
    name = f"live_{secrets.token_hex(4)}"
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        _execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            yield from _running(folder, os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}")
        finally:
            _execute(f"DROP DATABASE {name}")


def _running(folder: Path, database_url: str) -> Iterator[Live]:
    with start_redis(folder / "redis") as redis:
        yield from _counted(start_exchange(folder, database_url, redis))


def _counted(live: Live) -> Iterator[Live]:
    """At the end, once nothing waits any more, the money of all tests is counted."""
    try:
        yield live
        wait_for(lambda: live.manage("shell", "-v", "0", "-c", WAITING), lambda printed: printed.strip() == "0")
        live.manage("shell", "-v", "0", "-c", "from audit.inspection import check_exchange; check_exchange()")
    finally:
        live.stop()


WAITING = "from matching.models import Command; print(Command.objects.count())"


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
