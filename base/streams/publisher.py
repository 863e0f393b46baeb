"""Publishing: after the commit, all of a batch in one round trip, and never in the way of what was committed."""

import functools
import itertools
import logging
from collections.abc import Iterable

from redis import Redis

from base.storage.breakers import ServerAway, streams_breaker
from base.storage.redis import redis_options
from base.streams.messages import REDIS_CHANNEL, Message, encode

logger = logging.getLogger(__name__)

BUNDLE_SIZE = 100


def publish(messages: Iterable[Message]) -> None:
    """Tell the open streams. Call it after the commit. It never raises: streams that missed it read the event_log."""
    _publisher().publish(messages)


class Publisher:
    """Sends to Redis, through its breaker: an outage costs one timeout, and is logged there."""

    def __init__(self, client: "Redis") -> None:
        self._client = client

    def publish(self, messages: Iterable[Message]) -> None:
        breaker = streams_breaker()
        if breaker.is_open:
            return
        try:
            bundles = [encode(bundle) for bundle in _bundles(messages)]
        except Exception:
            # A defect of ours, and not an outage: Redis has no part in it.
            logger.exception("messages to the streams could not be written")
            return
        try:
            with breaker.calling():
                self._send(bundles)
        except ServerAway:
            pass
        except Exception as error:
            logger.warning("publishing to the streams fails, they read the database instead: %s", error)

    def _send(self, bundles: list[bytes]) -> None:
        with self._client.pipeline(transaction=False) as pipeline:
            for bundle in bundles:
                pipeline.publish(REDIS_CHANNEL, bundle)
            pipeline.execute()


def _bundles(messages: Iterable[Message]) -> Iterable[tuple[Message, ...]]:
    """itertools.batched, which Python 3.11 does not have yet."""
    iterator = iter(messages)
    while bundle := tuple(itertools.islice(iterator, BUNDLE_SIZE)):
        yield bundle


@functools.cache
def _publisher() -> Publisher:
    return Publisher(Redis(**redis_options()))
