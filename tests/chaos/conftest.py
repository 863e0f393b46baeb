"""What each chaos test needs: the kind of database of this leg, and a seed."""

import os
from urllib.parse import urlsplit

import pytest

from scripts.handshake import database_version

# Another each time: what fails is to be found, and its report names the seed.
SEED = int(os.environ.get("CHAOS_SEED", "0")) or int.from_bytes(os.urandom(2), "big")


@pytest.fixture
def kind() -> str:
    """Of the leg's kind another server is started: its own is hasty, and other tests need it alive."""
    address = urlsplit(os.environ.get("DATABASE_URL", ""))
    if address.scheme != "mysql" or address.hostname is None:
        pytest.skip("the embedded database has no server to be killed")
    return "mariadb" if "MariaDB" in database_version(address.hostname, address.port or 3306) else "mysql"


@pytest.fixture
def seed() -> int:
    print(f"seed {SEED}: CHAOS_SEED={SEED} repeats it")
    return SEED
