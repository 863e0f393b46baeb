"""The seams of base.storage.coherence in production: the state's row in MySQL, and scripts in the cache's Redis."""

import functools
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from redis import Redis

from base.models import CacheState
from base.storage.breakers import breaker_of
from base.storage.coherence import NEVER_OPENED, Coherence, Phase, State
from base.storage.lineage import server_sql, this_server
from base.storage.redis import redis_client

# One row for all caches: what makes one of them unusable makes all of them so.
NAME = "shared"
KEY_PREFIX = "exchange:shared:"
_CHANGE = (
    "UPDATE cache_states SET phase = %s, token = %s, server = %s, changed_at = CURRENT_TIMESTAMP(6), origin = {origin}"
    " WHERE name = %s AND token = %s"
)
_BEGIN = (
    "INSERT IGNORE INTO cache_states (phase, token, server, name, changed_at, origin)"
    " VALUES (%s, %s, %s, %s, CURRENT_TIMESTAMP(6), {origin})"
)
# Put before each script. INFO costs 10 microseconds; within a script no failover can come between it and the rest.
_RUN_ID = "local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')\n"


class DatabaseStates:
    """The row of MySQL. SQLite has no row locks, which the protocol needs; the settings refuse the caches there."""

    def read(self) -> State:
        row = CacheState.objects.filter(pk=NAME).annotate(now=Now(), here=this_server())
        found = row.values_list("phase", "token", "server", "changed_at", "now", "origin", "here").first()
        if found is None:
            return NEVER_OPENED
        phase, token, server, changed_at, now, origin, here = found
        if phase == Phase.OPEN and origin != here:
            # Another server has taken over, where commits may be missing that the entries hold.
            phase = Phase.CLOSING
        return State(Phase(phase), token, server, (now - changed_at).total_seconds())

    def change(self, before: State, phase: Phase, server: str) -> bool:
        """On a connection of its own, because the caller's transaction may be rolled back, and commits too late."""
        apart = connection.copy()
        values: list[Any] = [phase.value, new_token(), server, NAME]
        try:
            with apart.cursor() as cursor:
                if before.token:
                    cursor.execute(_CHANGE.format(origin=server_sql()), [*values, before.token])
                else:
                    cursor.execute(_BEGIN.format(origin=server_sql()), values)
                return bool(cursor.rowcount == 1)
        finally:
            apart.close()


class Script:
    """A Lua script that begins with `run`, the run id of the server, and returns it first."""

    def __init__(self, text: str) -> None:
        self._text = _RUN_ID + text

    def __call__(self, keys: Sequence[str], arguments: Sequence[Any]) -> list[Any]:
        """Raises ServerAway and RedisError."""
        with breaker_of(settings.CACHE_URL).calling():
            answer: list[Any] = _registered(settings.CACHE_URL, self._text)(keys=keys, args=arguments)
        return answer


def new_token() -> str:
    """Random, and no counter: what was lost with a server's memory must not come again."""
    return secrets.token_hex(8)


def close_caches() -> None:
    """Have no entry used that is there now. Where a writer or reader is at work on it, by the protocol's waits."""
    state = DatabaseStates().read()
    if state.phase is Phase.OPEN:
        DatabaseStates().change(state, Phase.CLOSING, "")


class Kept(NamedTuple):
    """How many entries there are, and the age of the oldest, if any."""

    entries: int
    oldest_seconds: float | None


def run_id() -> str:
    """The run id of the cache's Redis. Raises ServerAway and RedisError."""
    with breaker_of(settings.CACHE_URL).calling():
        return str(_client(settings.CACHE_URL).info("server")["run_id"])


@functools.cache
def coherence() -> Coherence:
    """This process's."""
    return Coherence(DatabaseStates(), run_id)


@functools.cache
def _client(url: str) -> "Redis":
    return redis_client(url, decode_responses=True)


@functools.cache
def _registered(url: str, text: str) -> Any:
    return _client(url).register_script(text)
