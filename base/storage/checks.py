"""What the servers must be: the database for the engine to be right, asserted before anything is matched, and the
addresses of Redis and of the broker, checked when a process starts.
"""

import logging
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning
from django.db import connection

from base.storage.redis import ask

logger = logging.getLogger(__name__)


def database_faults() -> list[str]:
    """What is wrong with the sessions that Django opens; empty when the engine may run.

    REPEATABLE READ re-fills orders that are filled already, and a lenient sql_mode clips amounts without a word.
    """
    if connection.vendor != "mysql":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SHOW VARIABLES WHERE variable_name IN ('transaction_isolation', 'tx_isolation')")
        levels = {value for _, value in cursor.fetchall()}
        cursor.execute("SELECT @@sql_mode")
        (sql_mode,) = cursor.fetchone()
    faults = []
    if levels != {"READ-COMMITTED"}:
        faults.append(f"transaction isolation is {', '.join(sorted(levels))}, it must be READ-COMMITTED")
    if not {"STRICT_ALL_TABLES", "STRICT_TRANS_TABLES"} & set(sql_mode.split(",")):
        faults.append(f"sql_mode {sql_mode!r} is not strict")
    return faults


@register(Tags.database)
def check_database(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """The same for `manage.py check --database default` and `migrate`."""
    return [Error(fault, id="exchange.E001") for fault in database_faults()] if databases else []


def servers_away() -> list[str]:
    """A sentence for each address in the settings at which no server can be used now."""
    names: dict[str, list[str]] = {}
    for name in ("REDIS_URL", "CACHE_URL", "BROKER_URL"):
        names.setdefault(getattr(settings, name), []).append(name)
    sentences = []
    for url, variables in names.items():
        try:
            ask(url)
        except Exception as error:
            sentences.append(
                f"{' and '.join(variables)}: nothing usable answers at {_without_password(url)} ({error})."
                " The exchange runs without this server and uses it as soon as it answers;"
                " if the address is wrong, correct it and start again."
            )
    return sentences


@register("servers", deploy=True)
def check_servers(**_: Any) -> list[CheckMessage]:
    """For `manage.py check --deploy`."""
    return [CheckWarning(sentence, id="exchange.W001") for sentence in servers_away()]


def log_servers_away() -> None:
    """For the start of a process, which it does not hold up: to look up a name may take many seconds."""
    threading.Thread(target=_log_servers_away, daemon=True).start()


def _log_servers_away() -> None:
    for sentence in servers_away():
        logger.warning(sentence)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
