"""A user's balances in Redis, and behind that in the process: used only after their version was compared.

base.storage.coherence has the rules. The unit is a user: all balances together are one entry with one version, because
clients mostly ask for all of them, and a trade changes two at once. Who changes balances calls `balances_changed` in
the transaction, after all rows were locked; the verbs in `services` do.

One reader fills an entry that is missing. Others who come meanwhile wait for a moment and then read MySQL.
"""

import functools
import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from cachetools import TTLCache
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection, transaction

from balances.models import Balance
from base.storage.coherence import Coherence, Lease
from base.storage.shared_caches import KEY_PREFIX, Script, coherence, new_token
from base.telemetry.malformed import BALANCES, drop_malformed
from base.telemetry.metrics import CACHE_INVALIDATIONS, CACHE_READS

SHARED, LOCAL = "balances", "balances in the process"
ENTRY_SECONDS = 3600
# Longer than an entry, which is worth nothing without its version.
VERSION_SECONDS = 2 * ENTRY_SECONDS
# For so long one reader may be alone with an entry that is missing; it may have died.
FILLING_MS = 500
WAIT_SECONDS = 0.01
LOCAL_ENTRIES, LOCAL_SECONDS = 10_000, 60
INDEX = f"{KEY_PREFIX}balances:index"

# Version, entry, filler; the version in the process, a new token, how long to fill, how long a version lives.
_LOOK = """
local version = redis.call('GET', KEYS[1])
if version and version == ARGV[1] then return {run, version, 'same', ''} end
local entry = version and redis.call('GET', KEYS[2])
if entry and string.sub(entry, 1, #version + 1) == version .. ' ' then return {run, version, 'entry', entry} end
if not redis.call('SET', KEYS[3], ARGV[2], 'NX', 'PX', ARGV[3]) then return {run, version or '', 'wait', ''} end
if not version then
    version = ARGV[2]
    redis.call('SET', KEYS[1], version, 'EX', ARGV[4])
end
return {run, version, 'fill', ''}
"""
# Version, entry, filler, index; the version that the rows belong to, the server, the entry, its seconds, the user.
_FILL = """
if run ~= ARGV[2] or redis.call('GET', KEYS[1]) ~= ARGV[1] then return {run, 0} end
redis.call('SET', KEYS[2], ARGV[3], 'EX', ARGV[4])
redis.call('DEL', KEYS[3])
local now = redis.call('TIME')[1]
redis.call('ZADD', KEYS[4], now, ARGV[5])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - ARGV[4])
return {run, 1}
"""
_RENEW = """
for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1], 'EX', ARGV[2]) end
return {run}
"""


_COUNT = Script("""
local now = redis.call('TIME')[1]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[1])
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
return {run, redis.call('ZCARD', KEYS[1]), oldest and now - oldest or 0}
""")

# What an entry holds of each balance, by Django's own way to write a field as text and to read it.
_FIELDS: list[Any] = [field for field in Balance._meta.concrete_fields if field.attname not in ("id", "user_id")]


class Look(NamedTuple):
    """What Redis has of a user's balances."""

    server: str
    version: str
    # "same": that of the process is the present one; "entry"; "fill": the caller is to fill it; "wait": another is.
    kind: str
    entry: str


class Server(Protocol):
    """The entries in Redis. Each call may raise ServerAway and RedisError."""

    def look(self, user_id: int, known: str) -> Look: ...

    def fill(self, user_id: int, version: str, server: str, entry: str) -> None:
        """Keep the entry if its version still is the present one, on this run of the server."""
        ...

    def renew(self, user_ids: Iterable[int]) -> str:
        """New versions. Returns the run id."""
        ...


class Rows(Protocol):
    """The rows in MySQL."""

    def read(self, user_id: int) -> list[Balance]: ...

    def read_locked(self, user_id: int) -> list[Balance] | None:
        """As committed, with locks; None where another transaction holds one of them."""
        ...


class BalanceCache:
    """The cache of one process."""

    def __init__(
        self, coherent: Coherence, server: Server, rows: Rows, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._coherent = coherent
        self._server = server
        self._rows = rows
        self._sleep = sleep
        # By user: the state's token, the version, and the balances.
        self._local: TTLCache[int, tuple[str, str, list[Balance]]] = TTLCache(LOCAL_ENTRIES, LOCAL_SECONDS)
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """How many users' balances are in the process."""
        with self._lock:
            self._local.expire()
            return len(self._local)

    def read(self, user_id: int) -> list[Balance]:
        """All that the user has, by currency: as committed when this was called, or later."""
        found = self._look(user_id)
        if found is not None and found[1].kind == "wait":
            self._sleep(WAIT_SECONDS)
            found = self._look(user_id)
        if found is None:
            return self._missed(user_id, "away")
        lease, look, known = found
        if look.kind == "same":
            CACHE_READS.labels(LOCAL, "hit").inc()
            return known
        CACHE_READS.labels(LOCAL, "none").inc()
        if look.kind == "entry" and (balances := _parse(user_id, look, lease)) is not None:
            CACHE_READS.labels(SHARED, "hit").inc()
            with self._lock:
                self._local[user_id] = (lease.token, look.version, balances)
            return balances
        if look.kind == "wait":
            return self._missed(user_id, "wait")
        return self._fill(user_id, lease, look)

    def _look(self, user_id: int) -> tuple[Lease, Look, list[Balance]] | None:
        with self._lock:
            token, version, balances = self._local.get(user_id, ("", "", []))

        def question(lease: Lease) -> Look:
            return self._server.look(user_id, version if lease.token == token else "")

        found = self._coherent.ask(question)
        return (*found, balances) if found else None

    def _fill(self, user_id: int, lease: Lease, look: Look) -> list[Balance]:
        balances = self._rows.read_locked(user_id)
        if balances is None:
            return self._missed(user_id, "locked")
        CACHE_READS.labels(SHARED, "none").inc()
        entry = f"{look.version} {lease.token} {_written(balances)}"
        self._coherent.try_to(lambda: self._server.fill(user_id, look.version, lease.server, entry))
        return balances

    def _missed(self, user_id: int, why: str) -> list[Balance]:
        CACHE_READS.labels(SHARED, why).inc()
        return self._rows.read(user_id)


def read_balances(user_id: int) -> list[Balance]:
    """All balances of the user, by currency."""
    return balance_cache().read(user_id) if settings.BALANCE_CACHE else StoredRows().read(user_id)


def read_balance(user_id: int, currency: str) -> Balance:
    """One of them; zeros for an asset that was never held."""
    if settings.BALANCE_CACHE:
        found = next((each for each in read_balances(user_id) if each.currency_id == currency), None)
    else:
        found = Balance.objects.filter(user_id=user_id, currency_id=currency).first()
    return found or Balance(user_id=user_id, currency_id=currency, created_at=None)


def balances_changed(user_ids: Iterable[int]) -> None:
    """Renew the versions of these users, in a transaction that has locked all balances that it changes."""
    users = set(user_ids)
    if not settings.BALANCE_CACHE or not users:
        return
    assert connection.in_atomic_block, "a version is renewed before the commit, not after it"
    coherence().before_commit(lambda _: RedisServer().renew(users))
    CACHE_INVALIDATIONS.labels(SHARED).inc(len(users))


def count_shared() -> tuple[int, float | None]:
    """How many entries Redis has, and how many seconds old the oldest is. Raises ServerAway and RedisError."""
    _, count, oldest = _COUNT([INDEX], [ENTRY_SECONDS])
    return int(count), float(oldest) if int(count) else None


def count_local() -> tuple[int, None]:
    """How many this process has."""
    return balance_cache().size, None


class RedisServer:
    """The cache's Redis."""

    _look, _fill, _renew = Script(_LOOK), Script(_FILL), Script(_RENEW)

    def look(self, user_id: int, known: str) -> Look:
        keys = [_key(user_id, part) for part in ("version", "entry", "filler")]
        return Look(*self._look(keys, [known, new_token(), FILLING_MS, VERSION_SECONDS]))

    def fill(self, user_id: int, version: str, server: str, entry: str) -> None:
        keys = [*(_key(user_id, part) for part in ("version", "entry", "filler")), INDEX]
        self._fill(keys, [version, server, entry, ENTRY_SECONDS, user_id])

    def renew(self, user_ids: Iterable[int]) -> str:
        keys = [_key(user_id, "version") for user_id in user_ids]
        return str(self._renew(keys, [new_token(), VERSION_SECONDS])[0])


class StoredRows:
    """The database's."""

    def read(self, user_id: int) -> list[Balance]:
        return list(Balance.objects.filter(user_id=user_id).order_by("currency_id"))

    def read_locked(self, user_id: int) -> list[Balance] | None:
        """It waits for nobody, so it can be in no deadlock."""
        mine = Balance.objects.filter(user_id=user_id).order_by("currency_id")
        try:
            with transaction.atomic():
                return list(mine.select_for_update(nowait=True))
        except OperationalError:
            return None


@functools.cache
def balance_cache() -> BalanceCache:
    """This process's."""
    return BalanceCache(coherence(), RedisServer(), StoredRows())


def _key(user_id: int, part: str) -> str:
    return f"{KEY_PREFIX}balances:{user_id}:{part}"


def _written(balances: Iterable[Balance]) -> str:
    return json.dumps([[_text(field, each) for field in _FIELDS] for each in balances])


def _text(field: Any, balance: Balance) -> str | None:
    return None if field.value_from_object(balance) is None else field.value_to_string(balance)


def _parse(user_id: int, look: Look, lease: Lease) -> list[Balance] | None:
    """The entry's balances; None if it was filled before the caches were opened for the last time, or is no entry."""
    try:
        version, token, rows = look.entry.split(" ", 2)
        if (version, token) != (look.version, lease.token):
            return None
        return [_balance(user_id, row) for row in json.loads(rows)]
    except (ValueError, TypeError, ArithmeticError, ValidationError, RecursionError) as error:
        drop_malformed(BALANCES, error)
        return None


def _balance(user_id: int, row: Sequence[str | None]) -> Balance:
    values: dict[str, Any] = {field.attname: field.to_python(text) for field, text in zip(_FIELDS, row, strict=True)}
    return Balance(user_id=user_id, **values)
