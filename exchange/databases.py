"""The database behind a URL, with the options that correctness needs."""

from importlib.util import find_spec
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from exchange.environment import between

SQLITE_OPTIONS: dict[str, Any] = {
    # Every transaction takes the write lock when it begins: this stands in for SELECT ... FOR UPDATE.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
MYSQL_OPTIONS: dict[str, Any] = {
    # A snapshot opened before the book's lock would show orders as they were and match them twice.
    "isolation_level": "read committed",
    "charset": "utf8mb4",
    "connect_timeout": 5,
    "init_command": (
        "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO',"
        " innodb_lock_wait_timeout=3, lock_wait_timeout=10, time_zone='+00:00'"
    ),
}


def database(url: str) -> dict[str, Any]:
    """Django's description of the database behind the URL, with the options that correctness needs."""
    config: dict[str, Any] = environ.Env.db_url_config(url)
    is_sqlite = config["ENGINE"].endswith("sqlite3")
    if not is_sqlite and not config["ENGINE"].endswith("mysql"):
        raise ImproperlyConfigured("DATABASE_URL must begin with mysql:// or sqlite:///")
    if not is_sqlite and find_spec("MySQLdb") is None:
        raise ImproperlyConfigured(
            "DATABASE_URL names MySQL, and its driver is not installed:"
            " .venv/bin/pip install --require-hashes -r requirements-mysql.lock"
        )
    # Django's engines, with their statements counted.
    config["ENGINE"] = "base.storage.sqlite3" if is_sqlite else "base.storage.mysql"
    config["OPTIONS"] = {**(SQLITE_OPTIONS if is_sqlite else MYSQL_OPTIONS), **config.get("OPTIONS", {})}
    if is_sqlite:
        # Tests on a file too: the in-memory database locks whole tables and knows no WAL.
        config["TEST"] = {"NAME": f"{config['NAME']}.test"}
    config["CONN_MAX_AGE"] = 0 if is_sqlite else between("CONN_MAX_AGE", 60, 0)
    config["CONN_HEALTH_CHECKS"] = True
    config["ATOMIC_REQUESTS"] = False
    return config
