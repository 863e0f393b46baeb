"""Publishing: after the commit, all of a batch in one round trip, and never in the way of what was committed."""

import functools
import itertools
import logging
import time
from collections.abc import Iterable

from redis import Redis

from exchange.streams.connection import redis_options
from exchange.streams.messages import REDIS_CHANNEL, Message, encode

logger = logging.getLogger(__name__)

QUIET_SECONDS = 1.0
BUNDLE_SIZE = 100


def publish(messages: Iterable[Message]) -> None:
    """Tell the open streams. Call it after the commit. It never raises: streams that missed it read the journal."""
    _publisher().publish(messages)


class Publisher:
    """Sends to Redis, and keeps quiet for a second after a failure: an outage costs one timeout a second."""

    def __init__(self, client: "Redis") -> None:
        self._client = client
        self._quiet_until = 0.0
        self._is_failing = False

    def publish(self, messages: Iterable[Message]) -> None:
        if time.monotonic() < self._quiet_until:
            return
        try:
            bundles = [encode(bundle) for bundle in _bundles(messages)]
        except Exception:
            # A defect of ours, and not an outage: Redis has no part in it.
            logger.exception("messages to the streams could not be written")
            return
        try:
            self._send(bundles)
        except Exception as error:
            self._failed(error)
        else:
            self._succeeded()

    def _send(self, bundles: list[bytes]) -> None:
        with self._client.pipeline(transaction=False) as pipeline:
            for bundle in bundles:
                pipeline.publish(REDIS_CHANNEL, bundle)
            pipeline.execute()

    def _failed(self, error: Exception) -> None:
        self._quiet_until = time.monotonic() + QUIET_SECONDS
        if not self._is_failing:
            logger.warning("publishing to the streams fails, they read the database instead: %r", error)
        self._is_failing = True

    def _succeeded(self) -> None:
        if self._is_failing:
            logger.warning("publishing to the streams works again")
        self._is_failing = False


def _bundles(messages: Iterable[Message]) -> Iterable[tuple[Message, ...]]:
    """itertools.batched, which Python 3.11 does not have yet."""
    iterator = iter(messages)
    while bundle := tuple(itertools.islice(iterator, BUNDLE_SIZE)):
        yield bundle


@functools.cache
def _publisher() -> Publisher:
    return Publisher(Redis(**redis_options()))
