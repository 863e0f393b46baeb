"""How Redis and the broker are reached, for the settings: at once or not at all."""

from typing import Any
from urllib.parse import unquote, urlsplit

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
