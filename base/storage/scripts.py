"""Scripts that Redis runs for the exchange: one round trip, in which nobody else changes anything."""

import functools
import logging
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from redis.commands.core import Script
from redis.exceptions import RedisError

from base.storage.breakers import ServerAway, breaker_of
from base.storage.redis import redis_client

logger = logging.getLogger(__name__)


def run_script(script: str, keys: Sequence[str], arguments: Sequence[int], *, failure: str) -> Any:
    """What the script answers, which is never nil; None where Redis is away or refuses it.

    A refusal is logged, as the `failure` that it is; that Redis is away is logged by the breaker.
    """
    try:
        with breaker_of(settings.REDIS_URL).calling():
            return _loaded(settings.REDIS_URL, script)(keys=keys, args=arguments)
    except ServerAway:
        return None
    except RedisError as error:
        logger.error("%s: %s", failure, error)
        return None


@functools.cache
def _loaded(url: str, script: str) -> Script:
    return redis_client(url).register_script(script)
