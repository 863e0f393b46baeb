"""How the streams reach Redis: at once or not at all."""

from typing import Any

from django.conf import settings
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

TIMEOUT_SECONDS = 0.25


def redis_options() -> dict[str, Any]:
    """For a client that gives up after a quarter of a second. redis-py's own default is ten attempts."""
    timeouts = {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS}
    return {**settings.EVENTSTREAM_REDIS, **timeouts, "retry": Retry(NoBackoff(), 0)}


def async_redis_options() -> dict[str, Any]:
    """The same for asyncio: a retry inside redis-py would subscribe again unseen, and hide what was missed."""
    timeouts = {"socket_timeout": 5.0, "socket_connect_timeout": 1.0}
    return {**settings.EVENTSTREAM_REDIS, **timeouts, "retry": AsyncRetry(NoBackoff(), 0)}
