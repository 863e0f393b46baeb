"""What beat has the workers do now and then, one instance at a time: such work never waits, and may be left out."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

from django.conf import settings
from django.db import connection

from balances.cache import read_balances
from base.storage.breakers import ServerAway
from base.storage.known_ids import SHARED
from base.storage.locks import alone
from marketdata.synchronising import synchronise
from markets import volumes
from markets.services import active_symbols, known_market
from matching.snapshots.recording import due_symbols
from orders.ids import order_ids
from orders.services import most_active_users
from users.ids import user_ids

logger = logging.getLogger(__name__)

# A worker does this between two bells of its markets, so it stops after a moment and goes on in another task.
TIME_BOX_SECONDS = 0.5
LOCK_SECONDS = 30
# Balances of so many users; and how long to fill a filter of ids may take.
WARMED_USERS, WARMING_SECONDS = 1000, 600
_children: list["subprocess.Popen[bytes]"] = []


def synchronise_depths(symbols: Sequence[str] | None) -> list[str]:
    """Compare the cached depths of these markets (None: of all active ones) with MySQL; return those not reached."""
    if not settings.DEPTH_CACHE_LEVELS:
        return []
    with alone("synchronise-depths", LOCK_SECONDS) as fence:
        if fence is None:
            return []
        try:
            until = time.monotonic() + TIME_BOX_SECONDS
            return synchronise(active_symbols() if symbols is None else symbols, fence, until=until)
        except ServerAway:
            logger.warning("the depths are not synchronised, because Redis is away")
            return []


def count_volumes(symbols: Sequence[str] | None) -> list[str] | None:
    """Count what was traded in these markets (None: in all); return those from which to go on, or None when done."""
    with alone("count-volumes", LOCK_SECONDS) as fence:
        return None if fence is None else volumes.count_volumes(symbols, time.monotonic() + TIME_BOX_SECONDS)


def start_warming() -> threading.Thread:
    return _start("warming", warm)


def start_filling() -> threading.Thread:
    return _start("filling", fill_filters)


def fill_filters() -> None:
    """Fill the shared filters of ids that are not filled, or not any more, in one instance at a time."""
    if settings.ID_FILTER != SHARED:
        return
    with alone("fill-filters", WARMING_SECONDS) as fence:
        if fence is not None:
            for ids in (order_ids, user_ids):
                ids.fill()


def warm() -> None:
    """Fill the shared caches with what is asked for most, in one instance at a time. It changes no answer."""
    with alone("warm-caches", WARMING_SECONDS) as fence:
        if fence is None:
            return
        for symbol in active_symbols():
            known_market(symbol)
        if settings.BALANCE_CACHE:
            for user_id in most_active_users(WARMED_USERS):
                read_balances(user_id)
    fill_filters()
    until = time.monotonic() + LOCK_SECONDS
    rest: list[str] | None = None
    while time.monotonic() < until and (rest := synchronise_depths(rest)):
        continue


def _start(name: str, chore: Callable[[], None]) -> threading.Thread:
    """In a thread of its own, because a worker must not be kept from its markets."""
    thread = threading.Thread(target=_do, args=(name, chore), name=name, daemon=True)
    thread.start()
    return thread


def _do(name: str, chore: Callable[[], None]) -> None:
    try:
        chore()
    except Exception as error:
        # Without Redis, or without the database: the caches are filled by those who read.
        logger.warning("%s of the caches was broken off: %s", name, error)
    finally:
        connection.close()


def record_snapshots() -> None:
    """Start a process that stores the snapshots that are due, unless the last one still does.

    A process of its own, which gives way to all others: to pack a large book takes seconds, and a thread of the worker
    would take them from its orders.
    """
    _children[:] = [child for child in _children if child.poll() is None]
    symbols = [] if _children else due_symbols(active_symbols())
    if symbols:
        command = [sys.executable, "-m", "django", "record_snapshots", "--background", *symbols]
        variables = {**os.environ, "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE}
        _children.append(subprocess.Popen(command, cwd=settings.BASE_DIR, env=variables))  # noqa: S603
