"""A lock in Redis for what one instance should do at a time: synchronising, warming, archiving.

It is a convenience and never a guarantee. A holder may stall for longer than its lock lasts, and Redis may lose the
lock with its memory: then two instances do the same work. So each acquisition brings a fencing token, a number that
rises, and the script that writes the result compares it: who held the lock before cannot overwrite what the next holder
wrote.
Money is guarded by rows and not by this (docs/reliability.md).
"""

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from redis import Redis
from redis.commands.core import Script
from redis.exceptions import LockError, RedisError
from redis.lock import Lock

from base.storage.breakers import ServerAway, breaker_of
from base.storage.redis import redis_client

logger = logging.getLogger(__name__)

KEY_PREFIX = "exchange:lock:"
# One step: a holder that stalled between the two would take a larger number than the next holder.
_ACQUIRE = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
    return redis.call('INCR', KEYS[2])
end
return 0
"""


class FencedLock(Lock):
    """redis-py's lock, which takes its fencing token in the step that acquires it."""

    fence = 0

    def do_acquire(self, token: Any) -> bool:
        keys = [self.name, f"{self.name}:fence"]
        self.fence = int(_script(self.redis)(keys=keys, args=[token, int((self.timeout or 0) * 1000)]))
        return self.fence > 0


@contextmanager
def alone(name: str, seconds: float) -> Iterator[int | None]:
    """Hold the lock of this name for so many seconds at the most, and give its fencing token.

    None, with a line in the log, where another instance holds it or Redis is away: the caller then leaves its work out.
    """
    lock = FencedLock(_client(settings.REDIS_URL), KEY_PREFIX + name, timeout=seconds, blocking=False)
    is_held = _try(name, lock.acquire)
    if is_held is False:
        logger.info("%s is left out here, because another instance does it", name)
    try:
        yield lock.fence if is_held else None
    finally:
        if is_held:
            _try(name, lock.release)


def _try(name: str, step: Any) -> bool | None:
    """Whether the step was taken; None where Redis is away. Never raises for Redis."""
    try:
        with breaker_of(settings.REDIS_URL).calling():
            return step() is not False
    except LockError:
        logger.warning("%s took longer than its lock lasts, another instance may have done it too", name)
    except (ServerAway, RedisError) as error:
        logger.warning("%s has no lock, Redis does not give one: %s", name, error)
    return None


@functools.cache
def _client(url: str) -> "Redis":
    return redis_client(url)


@functools.cache
def _script(client: "Redis") -> Script:
    return client.register_script(_ACQUIRE)
