"""How Redis and the broker are reached, for the settings: at once or not at all."""

import functools
from typing import Any
from urllib.parse import urlsplit

import kombu
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

TIMEOUT_SECONDS = 0.25
REDIS_SCHEMES = ("redis", "rediss")
BROKER_SCHEMES = (*REDIS_SCHEMES, "amqp", "amqps", "pyamqp")
PROBE_KEY = "exchange:probe"
# One try: a bell that cannot be rung at once is left to the poller. By default a request would wait six seconds.
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
# RabbitMQ confirms that it has stored a bell. It takes longer to declare a queue, because a majority must know of it.
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
            # Not pickle, its default: whoever can write into Redis could have any code run here.
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            "SOCKET_CONNECT_TIMEOUT": TIMEOUT_SECONDS,
            "SOCKET_TIMEOUT": TIMEOUT_SECONDS,
            "CONNECTION_POOL_KWARGS": {"retry": None},
        },
    }


def transport_options(broker_url: str) -> dict[str, Any]:
    """The transport options of kombu for the broker: each kind has options of its own."""
    return {**(_REDIS if is_redis(broker_url) else _AMQP), **_ONCE}


REDIS_TIMEOUTS: dict[str, Any] = {
    "socket_timeout": TIMEOUT_SECONDS,
    "socket_connect_timeout": TIMEOUT_SECONDS,
    # redis-py's own default is ten attempts.
    "retry": Retry(NoBackoff(), 0),
}


def redis_client(url: str, **options: Any) -> Redis:
    """A client that gives up after a quarter of a second."""
    client: Redis = Redis.from_url(url, **REDIS_TIMEOUTS, **options)
    return client


def async_redis_client(url: str) -> AsyncRedis:
    """A client for asyncio that does not try again: a retry inside redis-py would subscribe again and hide the gap."""
    client: AsyncRedis = AsyncRedis.from_url(
        url, socket_timeout=5.0, socket_connect_timeout=1.0, retry=AsyncRetry(NoBackoff(), 0)
    )
    return client


def ask(url: str) -> None:
    """Raise if the server at the URL cannot be used."""
    if is_redis(url):
        with redis_client(url) as client:
            # Not a PING: a server that takes no writes answers one.
            client.set(PROBE_KEY, 1, px=1000)
    else:
        with kombu.Connection(url, connect_timeout=TIMEOUT_SECONDS) as connection:
            # Not `connect`: that one tries again after two seconds.
            connection.ensure_connection(max_retries=0)


@functools.cache
def server_of(url: str) -> str:
    """The server's name in logs and metrics, without a password."""
    if is_redis(url):
        parts = urlsplit(url)
        return f"{parts.hostname or '127.0.0.1'}:{parts.port or 6379}"
    return str(kombu.Connection(url).as_uri())
