"""Synchronising: the depths in Redis are compared with MySQL, and what differs is repaired, logged and counted.

Readers never believe a depth that is not of the book's present row, so a difference costs them a query and misleads
nobody, with one exception: levels that are wrong under the right token. Those would be a defect of ours.
"""

import logging
import time
from collections.abc import Iterable
from enum import StrEnum

from django.conf import settings

from base.storage.breakers import breaker_of
from base.telemetry.metrics import DEPTH_REPAIRS
from marketdata import depth_cache
from marketdata.depth import Depth
from marketdata.depth_cache import NOTHING, BookState, Kept

logger = logging.getLogger(__name__)

# In which a worker publishes what it has committed.
PATIENCE_SECONDS = 0.1


class Fault(StrEnum):
    MISSING = "missing"
    # Its batch is not the last one, and that of the last one has not come.
    OLD = "old"
    # It is of an event that the database does not have: after a restored backup, or a failover that lost commits.
    AHEAD = "ahead"
    DIFFERENT = "different"


def synchronise(symbols: Iterable[str], fence: int, *, until: float) -> list[str]:
    """Compare each market's depth and repair it; return the markets that were not reached until that monotonic instant.

    `fence` is the token of the lock under which this is done. Raises what the database and Redis raise.
    """
    waiting = list(symbols)
    while waiting and time.monotonic() < until:
        synchronise_one(waiting.pop(0), fence)
    return waiting


def synchronise_one(symbol: str, fence: int) -> Fault | None:
    """Returns what was repaired."""
    for is_last in (False, True):
        found = depth_cache.load(symbol)
        if found is None:
            # It has no book yet, or its worker is committing batch after batch, and writes each depth.
            return None
        state, depth = found
        # Read after the rows, because the worker publishes after its commit.
        kept = depth_cache.read_kept(symbol)
        fault = _fault(state, depth, kept)
        if fault not in (Fault.OLD, Fault.AHEAD) or is_last:
            break
        # A batch that is on its way, or that was committed between the two readings.
        time.sleep(PATIENCE_SECONDS)
    if fault is None:
        _renew(symbol)
        return None
    return _repair(symbol, fault, state, depth, kept, fence)


def _fault(state: BookState, depth: Depth, kept: Kept | None) -> Fault | None:
    if kept is None:
        return Fault.MISSING
    if kept.token != state.token:
        return Fault.AHEAD if kept.sequence > depth.sequence else Fault.OLD
    if kept.levels != settings.DEPTH_CACHE_LEVELS:
        # Another number of levels was set meanwhile.
        return Fault.OLD
    is_equal = (kept.bids, kept.asks) == (depth_cache.as_text(depth.bids), depth_cache.as_text(depth.asks))
    return None if is_equal and kept.sequence == depth.sequence else Fault.DIFFERENT


def _repair(symbol: str, fault: Fault, state: BookState, depth: Depth, kept: Kept | None, fence: int) -> Fault | None:
    replaces = NOTHING if kept is None else kept.token
    if not depth_cache.keep(symbol, depth, state.token, replaces=replaces, fence=fence):
        # Somebody else has written since.
        return None
    DEPTH_REPAIRS.labels(symbol, fault).inc()
    level = logging.ERROR if fault is Fault.DIFFERENT else logging.INFO
    logger.log(level, "the depth of %s in the cache was %s, it is of event %d now", symbol, fault, depth.sequence)
    return fault


def _renew(symbol: str) -> None:
    """A quiet market's depth lives on."""
    with breaker_of(settings.CACHE_URL).calling():
        depth_cache.client().pexpire(depth_cache.key(symbol), depth_cache.TTL_MS)
