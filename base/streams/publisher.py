"""Publishing: after the commit, all messages of a batch in one round trip. It never fails what was committed.

What the cache keeps of a batch goes along: in the same round trip where the cache has no Redis of its own.
"""

import functools
import logging
from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from redis import Redis

from base.storage.breakers import ServerAway, breaker_of
from base.storage.bulk import batched
from base.storage.redis import redis_client
from base.streams.messages import REDIS_CHANNEL, Message, encode

logger = logging.getLogger(__name__)

BUNDLE_SIZE = 100


# A command of Redis with its arguments, for the cache's Redis.
Write = tuple[Any, ...]


def publish(messages: Iterable[Message], writes: Sequence[Write] = ()) -> None:
    """Send messages to the open streams, after the commit, and before them the writes to the cache.

    Never raises: streams that miss messages read the event log, and readers of the cache find out that it is old.
    """
    if writes and settings.CACHE_URL != settings.REDIS_URL:
        _publisher("CACHE_URL").publish((), writes)
        writes = ()
    _publisher("REDIS_URL").publish(messages, writes)


class Publisher:
    """Sends to one setting's Redis, through its breaker, so that an outage costs one timeout and is logged once."""

    def __init__(self, client: "Redis", setting: str = "REDIS_URL") -> None:
        self._client = client
        self._setting = setting

    def publish(self, messages: Iterable[Message], writes: Sequence[Write] = ()) -> None:
        breaker = breaker_of(getattr(settings, self._setting))
        if breaker.is_open:
            return
        try:
            bundles = [encode(bundle) for bundle in batched(messages, BUNDLE_SIZE)]
        except Exception:
            # A defect of our own, and no outage.
            logger.exception("messages to the streams could not be written")
            bundles = []
        try:
            with breaker.calling():
                self._send(bundles, writes)
        except ServerAway:
            pass
        except Exception as error:
            logger.warning("publishing to %s fails, the database is read instead: %s", self._setting, error)

    def _send(self, bundles: list[bytes], writes: Sequence[Write]) -> None:
        with self._client.pipeline(transaction=False) as pipeline:
            for write in writes:
                pipeline.execute_command(*write)  # type: ignore[no-untyped-call]
            for bundle in bundles:
                pipeline.publish(REDIS_CHANNEL, bundle)
            pipeline.execute()


@functools.cache
def _publisher(setting: str) -> Publisher:
    return Publisher(redis_client(getattr(settings, setting)), setting)
