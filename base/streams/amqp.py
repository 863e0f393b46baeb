"""Publishing on an AMQP topic exchange, for other systems, after the commit. Used by one thread."""

import functools
import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson
from kombu import Connection, Exchange, Producer

from base.storage.breakers import ServerAway, breaker_of
from base.storage.redis import TIMEOUT_SECONDS

logger = logging.getLogger(__name__)

EXCHANGE = Exchange("exchange.feed", type="topic", durable=True)


class AmqpMessage(NamedTuple):
    """`headers` are what a consumer needs to know before it reads the body."""

    routing_key: str
    headers: Mapping[str, Any]
    body: Mapping[str, Any]


def publish_amqp(url: str, messages: Iterable[AmqpMessage]) -> None:
    """Never raises: who misses a message reads the rows. Unconfirmed, because to confirm each would take too long."""
    try:
        with breaker_of(url).calling():
            producer = _producer(url)
            for routing_key, headers, body in messages:
                producer.publish(
                    orjson.dumps(body),
                    routing_key=routing_key,
                    headers=dict(headers),
                    content_type="application/json",
                    content_encoding="utf-8",
                    delivery_mode=Exchange.TRANSIENT_DELIVERY_MODE,
                )
    except ServerAway:
        _producer.cache_clear()
    except Exception as error:
        _producer.cache_clear()
        logger.warning("publishing on %s fails, its consumers read the rows instead: %s", EXCHANGE.name, error)


@functools.cache
def _producer(url: str) -> Producer:
    connection = Connection(url, connect_timeout=TIMEOUT_SECONDS)
    producer = Producer(connection.channel(), EXCHANGE, auto_declare=False)
    producer.declare()
    return producer
