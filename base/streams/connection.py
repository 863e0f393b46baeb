"""How the streams reach Redis: at once or not at all."""

from typing import Any

from django.conf import settings
from redis import Redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff

from base.storage.breakers import REDIS_TIMEOUTS, Breaker, ask_redis, breaker, redis_server


def redis_options() -> dict[str, Any]:
    """For a client that gives up after a quarter of a second."""
    return {**settings.EVENTSTREAM_REDIS, **REDIS_TIMEOUTS}


def async_redis_options() -> dict[str, Any]:
    """The same for asyncio: a retry inside redis-py would subscribe again unseen, and hide what was missed."""
    timeouts = {"socket_timeout": 5.0, "socket_connect_timeout": 1.0}
    return {**settings.EVENTSTREAM_REDIS, **timeouts, "retry": AsyncRetry(NoBackoff(), 0)}


def streams_breaker() -> Breaker:
    """The breaker of the server that the streams' messages cross."""
    location = settings.EVENTSTREAM_REDIS
    return breaker(redis_server(location["host"], location["port"]), _ask)


def _ask() -> None:
    with Redis(**redis_options()) as client:
        ask_redis(client)
