"""What the caches did and what they hold, by cache, for `GET /api/v1/cache/stats`.

Hits, misses and invalidations are the counters of this process, or of all that share its folder of counters
(PROMETHEUS_MULTIPROC_DIR). What is held is asked of Redis, which all processes share.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping

from redis.exceptions import RedisError

from balances import cache as balances
from base.storage.breakers import ServerAway
from base.telemetry.metrics import registry
from marketdata import depth_cache
from markets.services import active_symbols
from operations.answers import CacheStats
from orders.ids import order_ids
from users.ids import user_ids

logger = logging.getLogger(__name__)

HIT = "hit"
# How many entries, and how old the oldest is in seconds; None where that is not known or there is none.
Kept = tuple[int | None, float | None]
_READS, _INVALIDATIONS = "exchange_cache_reads_total", "exchange_cache_invalidations_total"


def read_stats() -> dict[str, CacheStats]:
    """By cache; each is there, also when it is switched off."""
    counted = _counted()
    return {name: _stats(counted[name], kept) for name, kept in _CACHES.items()}


def _stats(counted: Mapping[str, int], kept: Callable[[], Kept]) -> CacheStats:
    try:
        entries, oldest = kept()
    except (ServerAway, RedisError) as error:
        logger.warning("what a cache holds is not known: %s", error)
        entries, oldest = None, None
    return {
        "hits": counted["hits"],
        "misses": counted["misses"],
        "invalidations": counted["invalidations"],
        "entries": entries,
        "oldestSeconds": oldest,
    }


def _counted() -> dict[str, dict[str, int]]:
    counted: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(("hits", "misses", "invalidations"), 0))
    for family in registry().collect():
        for sample in family.samples:
            if sample.name == _READS:
                kind = "hits" if sample.labels["result"] == HIT else "misses"
                counted[sample.labels["cache"]][kind] += int(sample.value)
            elif sample.name == _INVALIDATIONS:
                counted[sample.labels["cache"]]["invalidations"] += int(sample.value)
    return counted


def _depths() -> Kept:
    return depth_cache.count_kept(active_symbols())


def _nothing_kept() -> Kept:
    """A number in each process, or bits."""
    return None, None


_CACHES: dict[str, Callable[[], Kept]] = {
    balances.SHARED: balances.count_shared,
    balances.LOCAL: balances.count_local,
    depth_cache.CACHE: _depths,
    order_ids.label: _nothing_kept,
    user_ids.label: _nothing_kept,
}
