"""Who is connected, over all processes: each reports to Redis every few seconds, and its report expires if it dies."""

import asyncio
import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from django.conf import settings
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from base.storage.breakers import ServerAway, breaker_of
from base.storage.redis import async_redis_client, redis_client
from base.telemetry.malformed import CONNECTIONS, drop_malformed

logger = logging.getLogger(__name__)

PROCESSES_KEY = "streams:processes"
REFRESH_SECONDS = 5.0
EXPIRY_SECONDS = 15
# Connections that come and go together are reported together.
SETTLING_SECONDS = 0.2

# The counts of this process, for while Redis is away.
_here: dict[str, Callable[[], Mapping[str, int]]] = {}


def stats() -> dict[str, int]:
    """How many users have how many streams open, over all processes; while Redis is away, in this one."""
    try:
        with breaker_of(settings.REDIS_URL).calling():
            counts = _reported()
    except ServerAway:
        counts = _counted_here()
    except RedisError as error:
        logger.warning("Redis does not answer who is connected: %s", error)
        counts = _counted_here()
    return {
        "totalUsers": len(set().union(*counts)),
        "totalConnections": sum(sum(count.values()) for count in counts),
    }


def _reported() -> Sequence[Mapping[str, int]]:
    """The report of each process. Raises redis.RedisError."""
    with redis_client(settings.REDIS_URL, decode_responses=True) as client:
        processes = sorted(client.smembers(PROCESSES_KEY))
        reports = client.mget([_key(process) for process in processes]) if processes else []
        gone = [process for process, text in zip(processes, reports, strict=True) if text is None]
        if gone:
            client.srem(PROCESSES_KEY, *gone)
    return [counts for text in reports if text is not None and (counts := _counts(text)) is not None]


def _counts(text: str) -> Mapping[str, int] | None:
    """A report as it is written below; None for anything else."""
    try:
        counts: Any = json.loads(text)
        if all(type(number) is int for number in counts.values()):
            return cast("Mapping[str, int]", counts)
    except (ValueError, AttributeError, RecursionError) as error:
        drop_malformed(CONNECTIONS, error)
    else:
        drop_malformed(CONNECTIONS, "a report of who is connected")
    return None


def _counted_here() -> Sequence[Mapping[str, int]]:
    return [connections() for connections in tuple(_here.values())]


class Presence:
    """Reports the connections of this process to Redis. `connections` is called from other threads too."""

    def __init__(self, connections: Callable[[], Mapping[str, int]]) -> None:
        self._connections = connections
        self._process = secrets.token_hex(8)
        self._changed = asyncio.Event()

    def changed(self) -> None:
        self._changed.set()

    async def run(self) -> None:
        """Report until cancelled, and at the end that nobody is left."""
        client = async_redis_client(settings.REDIS_URL)
        _here[self._process] = self._connections
        try:
            while True:
                await asyncio.sleep(SETTLING_SECONDS)
                self._changed.clear()
                await self._report(client)
                try:
                    async with asyncio.timeout(REFRESH_SECONDS):
                        await self._changed.wait()
                except TimeoutError:
                    pass
        finally:
            del _here[self._process]
            await self._leave(client)

    async def _report(self, client: AsyncRedis) -> None:
        try:
            async with client.pipeline(transaction=False) as pipeline:
                pipeline.sadd(PROCESSES_KEY, self._process)
                pipeline.set(_key(self._process), json.dumps(dict(self._connections())), ex=EXPIRY_SECONDS)
                await pipeline.execute()
        except Exception as error:
            logger.debug("who is connected could not be reported: %r", error)

    async def _leave(self, client: AsyncRedis) -> None:
        try:
            async with asyncio.timeout(1.0):
                await client.delete(_key(self._process))
                await client.srem(PROCESSES_KEY, self._process)
                await client.aclose()
        except Exception as error:
            logger.debug("that nobody is connected any more could not be reported: %r", error)


def _key(process: str) -> str:
    return f"streams:connections:{process}"
