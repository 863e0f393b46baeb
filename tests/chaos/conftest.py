"""What the chaos tests need: the kind of database of this leg, and an exchange to be disturbed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tools.chaos.exchange import Exchange, running_exchange
from tools.rig.packages import UnavailableError
from tools.rig.servers import database_version


@pytest.fixture(scope="package")
def kind() -> str:
    """Of the leg's kind another server is started: its own is hasty, and other tests need it alive."""
    address = urlsplit(os.environ.get("DATABASE_URL", ""))
    if address.scheme != "mysql" or address.hostname is None:
        pytest.skip("the embedded database has no server to be killed")
    return "mariadb" if "MariaDB" in database_version(address.hostname, address.port or 3306) else "mysql"


@pytest.fixture(scope="package")
def exchange(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """Running, with its workers: kills and outages disturb the same one, each with users of its own."""
    # Its path is short, because the address of a socket must not be longer than 107 characters.
    with needing_a_server(), running_exchange(kind, tmp_path_factory.mktemp("chaos")) as exchange:
        exchange.start_workers()
        yield exchange


@contextmanager
def needing_a_server() -> Iterator[None]:
    """Where the leg started its own database, another one of the kind must start too."""
    try:
        yield
    except UnavailableError as reason:
        if "TEST_DATABASE_URL" not in os.environ:
            raise
        pytest.skip(f"no server to be killed can be had here: {reason}")
