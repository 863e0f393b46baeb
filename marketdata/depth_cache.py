"""The depth in Redis: the worker writes it after each batch, REST and the streams read it.

Each depth carries the token of the book's row whose levels it holds. A reader compares it with the row as it is now, by
one query along the primary key, and reads MySQL where they differ: so no depth is served that is older than the row. A
sequence alone would not do, because after a restored backup or a failover the same number comes a second time.

Only the best levels are kept (DEPTH_CACHE_LEVELS), because the worker takes them anew after each batch. Who asks for
more reads MySQL, unless the side has no more.
"""

import functools
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from redis import Redis
from redis.exceptions import RedisError

from base.storage.breakers import ServerAway, breaker_of
from base.storage.redis import redis_client
from base.storage.shared_readings import SharedReadings
from base.storage.snapshot import one_snapshot
from base.telemetry.malformed import DEPTH, drop_malformed
from base.telemetry.metrics import CACHE_READS
from marketdata import answers
from marketdata.depth import CONSISTENT_ATTEMPTS, Depth, Level, read_depth, read_levels, represent_depth

logger = logging.getLogger(__name__)

CACHE = "depth"
KEY_PREFIX = "exchange:depth:"
TTL_MS = 600_000
# What a write may replace: an older depth, none at all, or else the depth with the token that is named.
OLDER, NOTHING = "*", ""
_FIELDS = ("sequence", "token", "fence", "levels", "bids", "asks")
# A depth that was judged wrong is replaced only while it is still there, and not where the lock's next holder has
# written since (see base.storage.locks). The worker holds no lock, so its writes have the fence 0. What is no depth at
# all is replaced by any.
_WRITE = """
local kept = redis.pcall('HMGET', KEYS[1], 'sequence', 'token', 'fence')
if kept.err or (kept[1] and not (tonumber(kept[1]) and tonumber(kept[3]))) then
    redis.call('DEL', KEYS[1])
elseif kept[1] then
    if ARGV[1] == '*' then
        if tonumber(kept[1]) > tonumber(ARGV[3]) then return 0 end
    elseif kept[2] ~= ARGV[1] or tonumber(kept[3]) > tonumber(ARGV[5]) then
        return 0
    end
end
redis.call('HSET', KEYS[1], 'sequence', ARGV[3], 'token', ARGV[4], 'fence', ARGV[5], 'levels', ARGV[6],
    'bids', ARGV[7], 'asks', ARGV[8])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
# By SQL, because the model belongs to matching, which stands above this package.
_STATE = "SELECT token, next_sequence FROM order_books WHERE market_id = %s"
_STATES = "SELECT market_id, token, next_sequence FROM order_books"
# Of depths that are read from MySQL as many levels are read as one of these, so that all who ask share few readings.
MOST_LEVELS = 1_000
_SIZES = (100, 500, MOST_LEVELS)
_READINGS_KEPT = 64


class BookState(NamedTuple):
    """What the book's row says of the last commit."""

    token: str
    next_sequence: int


class Kept(NamedTuple):
    """A depth in Redis: the most levels of a side that it may hold, and each side as text, best first."""

    sequence: int
    token: str
    fence: int
    levels: int
    bids: str
    asks: str

    def depth(self, limit: int) -> Depth | None:
        """The best levels; None where there may be more than are kept."""
        bids, asks = _parse(self.bids, limit), _parse(self.asks, limit)
        if any(len(side) < limit and len(side) >= self.levels for side in (bids, asks)):
            return None
        return Depth(self.sequence, bids, asks)


def find_depth(symbol: str, limit: int) -> answers.OrderBook:
    """The depth as it is now: from Redis where that is of the book's present row, else from MySQL."""
    if not settings.DEPTH_CACHE_LEVELS:
        return _read(symbol, limit)
    try:
        kept = read_kept(symbol)
    except (ServerAway, RedisError) as error:
        return _missed(symbol, limit, "away", error)
    try:
        depth = kept.depth(limit) if kept is not None else _refill(symbol, limit)
    except ValueError as error:
        _drop(symbol, error)
        return _missed(symbol, limit, "none")
    if depth is None:
        return _missed(symbol, limit, "short" if kept is not None else "none")
    if kept is None:
        CACHE_READS.labels(CACHE, "none").inc()
    else:
        state = read_state(symbol)
        if state is None or state.token != kept.token:
            return _missed(symbol, limit, "old")
        CACHE_READS.labels(CACHE, "hit").inc()
    return represent_depth(symbol, depth)


def read_exact(symbol: str, limit: int) -> Depth:
    """The best levels exactly as they are after the event that is named, however many: nothing is shared or counted."""
    kept = _kept_of_now(symbol) if settings.DEPTH_CACHE_LEVELS else None
    try:
        depth = kept.depth(limit) if kept is not None else None
    except ValueError as error:
        _drop(symbol, error)
        depth = None
    if depth is not None:
        return depth
    with one_snapshot():
        state = read_state(symbol)
        return Depth(0, (), ()) if state is None else Depth(state.next_sequence - 1, *read_levels(symbol, limit))


def _kept_of_now(symbol: str) -> Kept | None:
    """What Redis has, if it is of the book's present row."""
    try:
        kept = read_kept(symbol)
    except (ServerAway, RedisError):
        return None
    state = None if kept is None else read_state(symbol)
    return kept if state is not None and kept is not None and state.token == kept.token else None


def write_after_commit(symbol: str, depth: Depth, token: str) -> tuple[Any, ...]:
    """The Redis command by which the worker keeps a batch's depth, with the token that the batch wrote."""
    return _write(symbol, depth, token, settings.DEPTH_CACHE_LEVELS, replaces=OLDER, fence=0)


def keep(symbol: str, depth: Depth, token: str, *, replaces: str, fence: int) -> bool:
    """Write a depth that was read from MySQL. Returns whether it replaced what it may replace."""
    with breaker_of(settings.CACHE_URL).calling():
        command = _write(symbol, depth, token, settings.DEPTH_CACHE_LEVELS, replaces=replaces, fence=fence)
        return bool(client().execute_command(*command))  # type: ignore[no-untyped-call]


def read_kept(symbol: str) -> Kept | None:
    """What Redis has of this market. Raises ServerAway and RedisError."""
    with breaker_of(settings.CACHE_URL).calling():
        values: Any = client().hmget(key(symbol), list(_FIELDS))
    if None in values:
        return None
    try:
        sequence, token, fence, levels, bids, asks = (value.decode() for value in values)
        return Kept(int(sequence), token, int(fence), int(levels), bids, asks)
    except ValueError as error:
        _drop(symbol, error)
        return None


def read_state(symbol: str) -> BookState | None:
    """The token and the number of the book's row; None before the market's first order."""
    with connection.cursor() as cursor:
        cursor.execute(_STATE, (symbol,))
        found = cursor.fetchone()
    return BookState(*found) if found else None


def read_states() -> dict[str, BookState]:
    """Those of all markets that had an order."""
    with connection.cursor() as cursor:
        cursor.execute(_STATES)
        return {symbol: BookState(*state) for symbol, *state in cursor.fetchall()}


def states_of(symbols: Iterable[str]) -> dict[str, BookState]:
    """Those of these markets, by a query for each."""
    return {symbol: state for symbol in set(symbols) if (state := read_state(symbol)) is not None}


def load(symbol: str) -> tuple[BookState, Depth] | None:
    """As many levels as are kept, from MySQL, with the row whose levels they are.

    None where each attempt met a commit. No attempt locks anything: the levels are those of the row if the row has the
    same token before and after they are read.
    """
    state = read_state(symbol)
    for _ in range(CONSISTENT_ATTEMPTS):
        if state is None:
            return None
        bids, asks = read_levels(symbol, settings.DEPTH_CACHE_LEVELS)
        before, state = state, read_state(symbol)
        if state == before:
            return state, Depth(state.next_sequence - 1, bids, asks)
    return None


def count_kept(symbols: Sequence[str]) -> tuple[int, float | None]:
    """Of how many of these markets Redis has the depth, and how many seconds ago the oldest was written or checked.

    Raises ServerAway and RedisError.
    """
    with breaker_of(settings.CACHE_URL).calling():
        pipeline = client().pipeline(transaction=False)
        for symbol in symbols:
            pipeline.pttl(key(symbol))
        left = [milliseconds for milliseconds in pipeline.execute() if milliseconds > 0]
    return len(left), (TTL_MS - min(left)) / 1000 if left else None


def as_text(side: Sequence[Level]) -> str:
    return " ".join([f"{price}:{quantity}:{orders}" for price, quantity, orders in side])


def key(symbol: str) -> str:
    return KEY_PREFIX + symbol


def client() -> "Redis":
    return _client(settings.CACHE_URL)


def _refill(symbol: str, limit: int) -> Depth | None:
    """Read MySQL and keep what was read, because Redis has forgotten the depth; None where that is not enough."""
    found = load(symbol) if limit <= settings.DEPTH_CACHE_LEVELS else None
    if found is None:
        return None
    state, depth = found
    try:
        keep(symbol, depth, state.token, replaces=NOTHING, fence=0)
    except (ServerAway, RedisError) as error:
        logger.warning("the depth of %s is not kept: %s", symbol, error)
    return Depth(depth.sequence, depth.bids[:limit], depth.asks[:limit])


def _drop(symbol: str, error: ValueError) -> None:
    """What is no depth is deleted, so that the next reader or the worker writes it anew."""
    drop_malformed(DEPTH, error)
    try:
        with breaker_of(settings.CACHE_URL).calling():
            client().delete(key(symbol))
    except (ServerAway, RedisError) as failure:
        logger.warning("what is no depth of %s stays in the cache: %s", symbol, failure)


def _missed(symbol: str, limit: int, why: str, error: Exception | None = None) -> answers.OrderBook:
    CACHE_READS.labels(CACHE, why).inc()
    if error is not None and not isinstance(error, ServerAway):
        logger.warning("the depth of %s is read from the database: %s", symbol, error)
    return _read(symbol, limit)


def _read(symbol: str, limit: int) -> answers.OrderBook:
    """The depth from MySQL, by a reading that all share who ask for about as many levels."""
    size = next(size for size in _SIZES if size >= limit)
    depth = shared_depths.one((symbol, size))
    return {**depth, "bids": depth["bids"][:limit], "asks": depth["asks"][:limit]}


def _versions(keys: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], BookState]:
    states = states_of(symbol for symbol, _ in keys)
    return {key: states[key[0]] for key in keys if key[0] in states}


shared_depths: SharedReadings[tuple[str, int], answers.OrderBook] = SharedReadings(
    _READINGS_KEPT, _versions, lambda keys: [read_depth(*key) for key in keys]
)


def _write(symbol: str, depth: Depth, token: str, levels: int, *, replaces: str, fence: int) -> tuple[Any, ...]:
    sides = as_text(depth.bids), as_text(depth.asks)
    return ("EVAL", _WRITE, 1, key(symbol), replaces, TTL_MS, depth.sequence, token, fence, levels, *sides)


def _parse(side: str, limit: int) -> list[Level]:
    # One more, because the last piece is all that is left.
    texts = side.split(" ", limit)[:limit] if side else []
    return [(int(price), int(quantity), int(orders)) for price, quantity, orders in (each.split(":") for each in texts)]


@functools.cache
def _client(url: str) -> "Redis":
    return redis_client(url)
