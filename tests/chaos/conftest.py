"""What each chaos test needs: the kind of database of this leg, and a seed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import pytest

from tools.chaos.report import Report
from tools.rig.packages import UnavailableError
from tools.rig.servers import database_version


@pytest.fixture
def kind() -> str:
    """Of the leg's kind another server is started: its own is hasty, and other tests need it alive."""
    address = urlsplit(os.environ.get("DATABASE_URL", ""))
    if address.scheme != "mysql" or address.hostname is None:
        pytest.skip("the embedded database has no server to be killed")
    return "mariadb" if "MariaDB" in database_version(address.hostname, address.port or 3306) else "mysql"


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its path is short, because the address of a socket must not be longer than 107 characters."""
    return tmp_path_factory.mktemp("chaos")


class Part(Protocol):
    """One of the chaos run's parts."""

    def run(self) -> Report: ...


@pytest.fixture
def proves() -> Callable[[Part], None]:
    """Run the part and print its report; it fails with all that was wrong."""

    def prove(part: Part) -> None:
        try:
            report = part.run()
        except UnavailableError as reason:
            # Where the leg started its own database, another one of the kind must start too.
            if "TEST_DATABASE_URL" not in os.environ:
                raise
            pytest.skip(f"no server to be killed can be had here: {reason}")
        print(report.text())
        assert report.wrong == []

    return prove
