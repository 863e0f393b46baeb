"""How Redis and the broker are reached, for the settings: at once or not at all."""

import functools
from typing import Any
from urllib.parse import unquote, urlsplit

import kombu
from django.conf import settings
from redis import Redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

TIMEOUT_SECONDS = 0.25
REDIS_SCHEMES = ("redis", "rediss")
BROKER_SCHEMES = (*REDIS_SCHEMES, "amqp", "amqps", "pyamqp")
# One try: a bell that cannot be rung at once is left to the lookout. By default a request would wait six seconds.
_ONCE = {
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
    "connect_retries_timeout": TIMEOUT_SECONDS,
}
_REDIS = {
    "socket_timeout": TIMEOUT_SECONDS,
    "socket_connect_timeout": TIMEOUT_SECONDS,
    "socket_keepalive": True,
    "priority_steps": [0],
}
# RabbitMQ says that it has stored a bell. To declare a queue that a majority must know of takes it longer.
_AMQP = {"confirm_publish": True, "read_timeout": 2.0, "write_timeout": TIMEOUT_SECONDS}


def is_redis(url: str) -> bool:
    return urlsplit(url).scheme in REDIS_SCHEMES


def redis_cache(url: str) -> dict[str, Any]:
    """Django's description of a cache in the Redis at the URL."""
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": url,
        "KEY_PREFIX": "exchange",
        "OPTIONS": {
            "SOCKET_CONNECT_TIMEOUT": TIMEOUT_SECONDS,
            "SOCKET_TIMEOUT": TIMEOUT_SECONDS,
            "CONNECTION_POOL_KWARGS": {"retry": None},
        },
    }


def redis_location(url: str) -> dict[str, Any]:
    """A Redis URL as the keyword arguments that django-eventstream hands to its clients."""
    parts = urlsplit(url)
    location: dict[str, Any] = {"host": parts.hostname or "127.0.0.1", "port": parts.port or 6379}
    if parts.password:
        location |= {"username": unquote(parts.username or "default"), "password": unquote(parts.password)}
    if parts.scheme == "rediss":
        location["ssl"] = True
    return location


def transport_options(broker_url: str) -> dict[str, Any]:
    """What kombu is told of the broker: each kind takes words of its own."""
    return {**(_REDIS if is_redis(broker_url) else _AMQP), **_ONCE}


def redis_options() -> dict[str, Any]:
    """For a client that gives up after a quarter of a second."""
    return {**settings.EVENTSTREAM_REDIS, **REDIS_TIMEOUTS}


def async_redis_options() -> dict[str, Any]:
    """The same for asyncio: a retry inside redis-py would subscribe again unseen, and hide what was missed."""
    timeouts = {"socket_timeout": 5.0, "socket_connect_timeout": 1.0}
    return {**settings.EVENTSTREAM_REDIS, **timeouts, "retry": AsyncRetry(NoBackoff(), 0)}


PROBE_KEY = "exchange:probe"


def ask(url: str) -> None:
    """Raise if the server at the URL cannot be used."""
    if is_redis(url):
        with Redis.from_url(url, **REDIS_TIMEOUTS) as client:
            ask_redis(client)
    else:
        with kombu.Connection(url, connect_timeout=TIMEOUT_SECONDS) as connection:
            # Not `connect`: that one tries again after two seconds.
            connection.ensure_connection(max_retries=0)


def ask_redis(client: Redis) -> None:
    """Write something: a PING would also be answered by a server that takes no writes."""
    client.set(PROBE_KEY, 1, px=1000)


def redis_server(host: str, port: int) -> str:
    """A Redis server's name as breakers know it."""
    return f"{host}:{port}"


REDIS_TIMEOUTS: dict[str, Any] = {
    "socket_timeout": TIMEOUT_SECONDS,
    "socket_connect_timeout": TIMEOUT_SECONDS,
    # redis-py's own default is ten attempts.
    "retry": Retry(NoBackoff(), 0),
}


@functools.cache
def _server_of(url: str) -> str:
    if is_redis(url):
        parts = urlsplit(url)
        return redis_server(parts.hostname or "127.0.0.1", parts.port or 6379)
    # Without its password.
    return str(kombu.Connection(url).as_uri())
