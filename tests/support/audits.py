"""A whole exchange of real processes on the run's own database server, whose money is counted at the end."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection
from pytest_django import DjangoDbBlocker

from tests.support.live import Live, start_exchange, wait_for
from tests.support.redis_users import denied, write_users
from tools.rig.servers import start_redis

WAITING = "from commands.models import Command; print(Command.objects.count())"


@contextmanager
def audited_exchange(folder: Path, database: DjangoDbBlocker) -> Iterator[Live]:
    """A running exchange on a new database of the test run's own server, with a Redis of its own.

    At the end, once nothing waits any more, the money of all who used it is counted.
    """
    users = write_users(folder)
    with _new_database(folder, database) as url, start_redis(folder / "redis", users=users) as redis:
        live = start_exchange(folder, url, redis)
        try:
            yield live
            wait_for(lambda: live.evaluate(WAITING), lambda printed: printed == "0")
            live.evaluate("from audit.inspect import check_exchange; check_exchange()")
            assert denied(redis.port) == [], "deploy/redis/users.acl lets no process do that"
        finally:
            live.end()


@contextmanager
def _new_database(folder: Path, database: DjangoDbBlocker) -> Iterator[str]:
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        yield f"sqlite:///{folder / 'live.sqlite3'}"
        return
    name = f"live_{secrets.token_hex(4)}"
    with database.unblock():
        _execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            yield os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}"
        finally:
            _execute(f"DROP DATABASE {name}")


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
