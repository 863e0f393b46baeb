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
PIPELINE_SIZE = 500


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
            encoded = [encode(message) for message in messages]
            for batch in _batches(encoded, PIPELINE_SIZE):
                self._send(batch)
        except Exception as error:
            self._failed(error)
        else:
            self._succeeded()

    def _send(self, batch: tuple[str, ...]) -> None:
        with self._client.pipeline(transaction=False) as pipeline:
            for text in batch:
                pipeline.publish(REDIS_CHANNEL, text)
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


def _batches(items: list[str], size: int) -> Iterable[tuple[str, ...]]:
    """itertools.batched, which Python 3.11 does not have yet."""
    iterator = iter(items)
    while batch := tuple(itertools.islice(iterator, size)):
        yield batch


@functools.cache
def _publisher() -> Publisher:
    return Publisher(Redis(**redis_options()))
