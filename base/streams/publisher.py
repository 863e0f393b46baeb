"""Publishing: after the commit, all messages of a batch in one round trip. It never fails what was committed."""

import functools
import logging
from collections.abc import Iterable

from django.conf import settings
from redis import Redis

from base.storage.breakers import ServerAway, breaker_of
from base.storage.bulk import batched
from base.storage.redis import redis_client
from base.streams.messages import REDIS_CHANNEL, Message, encode

logger = logging.getLogger(__name__)

BUNDLE_SIZE = 100


def publish(messages: Iterable[Message]) -> None:
    """Send messages to the open streams, after the commit. Never raises: streams that miss them read the event log."""
    _publisher().publish(messages)


class Publisher:
    """Sends to Redis, through its breaker, so that an outage costs one timeout and is logged once."""

    def __init__(self, client: "Redis") -> None:
        self._client = client

    def publish(self, messages: Iterable[Message]) -> None:
        breaker = breaker_of(settings.REDIS_URL)
        if breaker.is_open:
            return
        try:
            bundles = [encode(bundle) for bundle in batched(messages, BUNDLE_SIZE)]
        except Exception:
            # A defect of our own, and no outage.
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


@functools.cache
def _publisher() -> Publisher:
    return Publisher(redis_client(settings.REDIS_URL))
