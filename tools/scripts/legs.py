"""The databases that the tests run on, one after the other, each with its servers and what they say of themselves."""

import json
import os
import platform
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from tools.rig.driver import provide_driver
from tools.rig.process import Server
from tools.rig.servers import database_version, redis_version, start_mariadb, start_mysql, start_redis

# The first that can be had takes all tests, so the one that production uses comes first.
NAMES = ("mysql", "mariadb", "sqlite")
WITH_A_SERVER = ("mysql", "mariadb")
MYSQL_PORT, REDIS_PORT = 3306, 6379


@dataclass(frozen=True)
class Leg:
    """One kind of database, running, once for each lane of tests."""

    database: str
    header: str
    lanes: int
    # Points to the first lane's servers; `TEST_LANES` has what points to those of each.
    environment: dict[str, str]


@contextmanager
def running(name: str, folder: Path, lanes: int = 1) -> Iterator[Leg]:
    """Start what this leg needs; raises UnavailableError where this machine cannot provide it.

    Only one lane can use a Redis or a broker that was given: each would receive the messages of the other.
    """
    broker_url = os.environ.get("TEST_BROKER_URL", "")
    if broker_url or os.environ.get("TEST_REDIS_URL"):
        lanes = 1
    with ExitStack() as stack:
        environments = []
        for lane in range(lanes):
            own = folder / str(lane)
            driver, database_url, database, origin = _database(name, own, stack)
            redis_url, redis = _redis(own, stack)
            environments.append({
                "DATABASE_URL": database_url,
                "REDIS_URL": f"{redis_url}/1",
                "BROKER_URL": broker_url or f"{redis_url}/0",
                "DATA_DIR": str(own / "data"),
            })  # fmt: skip
        facts = [f"database: {database} ({origin})", f"redis protocol: {redis}", *driver]
        if broker_url:
            facts.append(f"broker: {urlsplit(broker_url).scheme} (from TEST_BROKER_URL)")
        facts += [f"Python {platform.python_version()}", f"Django {version('django')}"]
        environment = environments[0] | {"TEST_LANES": json.dumps(environments)}
        yield Leg(database, " | ".join(facts), lanes, environment)


def _database(name: str, folder: Path, stack: ExitStack) -> tuple[list[str], str, str, str]:
    if name == "sqlite":
        return [], f"sqlite:///{folder / 'test.sqlite3'}", f"SQLite {sqlite3.sqlite_version}", "embedded"
    driver = provide_driver()
    given = os.environ.get("TEST_DATABASE_URL")
    if name == "mysql" and given:
        return [driver], given, _given_database(given), "from TEST_DATABASE_URL"
    start = start_mysql if name == "mysql" else start_mariadb
    server: Server = stack.enter_context(start(folder))
    origin = f"private, started by this run, {server.origin}"
    return [driver], server.url, _database_title(server.version), origin


def _given_database(url: str) -> str:
    address = urlsplit(url)
    try:
        return _database_title(database_version(address.hostname or "", address.port or MYSQL_PORT))
    except (OSError, ValueError) as error:
        sys.exit(f"TEST_DATABASE_URL does not answer: {error}")


def _database_title(full_version: str) -> str:
    product = "MariaDB" if "MariaDB" in full_version else "MySQL"
    return f"{product} {full_version.partition('-')[0]}"


def _redis(folder: Path, stack: ExitStack) -> tuple[str, str]:
    given = os.environ.get("TEST_REDIS_URL")
    if not given:
        server = stack.enter_context(start_redis(folder / "redis"))
        return server.url, f"{server.version} (private, started by this run)"
    address = urlsplit(given)
    try:
        title = redis_version(address.hostname or "", address.port or REDIS_PORT)
    except (OSError, ValueError) as error:
        sys.exit(f"TEST_REDIS_URL does not answer: {error}")
    return f"{address.scheme}://{address.netloc}", f"{title} (from TEST_REDIS_URL)"
