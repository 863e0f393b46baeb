"""What anybody may write into the broker ends no worker: it is logged and dropped, and the next bell is answered."""

import itertools
import json
import signal
from collections.abc import Iterator
from typing import Any

import kombu
import pytest
from django.conf import settings
from redis import Redis

from tests.support.live import Live, wait_for
from tests.support.world import outcome

BELL = json.dumps([["BTC-USD"], {}, {}])
HEADERS = {"lang": "py", "task": "matching.match", "id": "1", "root_id": "1"}
ENVELOPE = {"body": BELL, "content-encoding": "utf-8", "content-type": "application/json", "headers": HEADERS}
PROPERTIES = {"delivery_tag": "1", "delivery_info": {}, "priority": 0, "body_encoding": "plain"}


def junk() -> Iterator[str | bytes]:
    """What is no message of Celery's at all, which Redis alone takes."""
    yield from ("garbage", b"\xff\xfe", "", "1", "null", '"text"', "[]", "{}", "[" * 100_000)
    yield from ('{"properties": 1}', '{"properties": {}}', '{"properties": {"delivery_tag": "x"}, "headers": 1}')
    for name, value in itertools.product(("body", "headers", "content-type", "properties"), (None, 1, [], {}, "x")):
        yield json.dumps({**ENVELOPE, "properties": PROPERTIES, name: value})
    for name, value in (("body_encoding", "base64"), ("body_encoding", "none"), ("delivery_info", 1)):
        yield json.dumps({**ENVELOPE, "properties": {**PROPERTIES, name: value}})


def messages() -> Iterator[dict[str, Any]]:
    """Messages that a broker carries and Celery cannot use."""
    bodies = (b"garbage", b"\xff\xfe", b"", b"1", b"null", b"[]", b"{}", BELL.encode())
    changes = (
        {"task": 1},
        {"task": "none"},
        {"expires": 1},
        {"eta": {}},
        {"timelimit": 1},
        {"retries": "x"},
        {"id": 1},
    )
    headers = ({}, {"task": 1}, *({**HEADERS, **change} for change in changes))
    kinds = ("application/json", "text/plain", "application/x-python-serialize", "none")
    for body, header, kind in itertools.product(bodies, headers, kinds):
        yield {"body": body, "headers": header, "content_type": kind, "content_encoding": "utf-8"}


@pytest.fixture
def symbol(exchange: Live) -> str:
    symbol = exchange.market()
    assert outcome(exchange.trader("bob", BTC="10").played(symbol, "sell 5 @ 100")) == "5 open +"
    return symbol


def unacknowledged(redis: "Redis") -> set[bytes]:
    """A worker that another test killed leaves some behind."""
    return set(redis.hkeys("unacked"))


def it_goes_on(exchange: Live, symbol: str) -> None:
    """Nobody would start a worker again that has ended."""
    assert outcome(exchange.trader("alice", USD="1000").played(symbol, "buy 1 @ 100")) == "0 filled"


@pytest.mark.parametrize("queue", ["orders", "of the market"])
def test_messages_that_cannot_be_read_end_no_worker(exchange: Live, symbol: str, queue: str) -> None:
    key = "orders" if queue == "orders" else f"orders.{symbol}"
    with kombu.Connection(exchange.environment["BROKER_URL"]) as connection:
        producer = connection.Producer()
        for message in messages():
            producer.publish(routing_key=key, **message)
    it_goes_on(exchange, symbol)


@pytest.mark.skipif(not settings.IS_REDIS_BROKER, reason="Redis alone lets anybody write what is no message")
@pytest.mark.parametrize("queue", ["orders", "of the market"])
def test_junk_in_a_queue_ends_no_worker(exchange: Live, symbol: str, queue: str) -> None:
    key = "orders" if queue == "orders" else f"orders.{symbol}"
    with Redis(port=exchange.redis.port, db=0) as redis:
        before = unacknowledged(redis)
        redis.lpush(key, *junk())
        wait_for(lambda: redis.llen(key), lambda left: left == 0)
        it_goes_on(exchange, symbol)
        wait_for(lambda: unacknowledged(redis) - before, lambda left: not left)


@pytest.mark.skipif(not settings.IS_REDIS_BROKER, reason="RabbitMQ keeps what was not acknowledged itself")
def test_junk_beside_the_queues_ends_no_worker(exchange: Live, symbol: str) -> None:
    """Among the messages that nobody acknowledged, which each worker reads when it starts, and in remote control."""
    with Redis(port=exchange.redis.port, db=0) as redis:
        before = unacknowledged(redis)
        for number, entry in enumerate(("garbage", "[]", "{}", "[1, 2, 3]", json.dumps(ENVELOPE))):
            assert redis.publish("/0.celery.pidbox", entry) >= 1
            redis.hset("unacked", str(number), entry)
            redis.zadd("unacked_index", {str(number): 1})
        worker = exchange.processes["worker"]
        worker.end(signal.SIGTERM)
        worker.start()
        it_goes_on(exchange, symbol)
        wait_for(lambda: unacknowledged(redis) - before, lambda left: not left)
