"""What anybody may write into the broker ends no worker: it is counted, logged, dropped, and the next bell is answered.

tests/integration/test_malformed_entries.py has the caches and the channel of the events.
"""

import itertools
import json
import pickle
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import kombu
import pytest
from django.conf import settings
from redis import Redis

from tests.integration.test_two_servers import Payload
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
    encoded = {**PROPERTIES, "body_encoding": "base64"}
    yield from (
        json.dumps({**ENVELOPE, "body": body, "properties": encoded}) for body in ("!!!", "//79", "Z2FyYmFnZQ==")
    )
    yield "x" * 5_000_000


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


# What a forged bell or letter may carry: another number of arguments, other types, no symbol at all.
ARGUMENTS = ([], [1], [None], [{}], ["BTC-USD", 2], ["x" * 100_000], ["btc-usd\n"], [["BTC-USD"]], [{"orderId": "x"}])


@pytest.fixture
def symbol(exchange: Live) -> str:
    symbol = exchange.market()
    assert outcome(exchange.trader("bob", BTC="10").played(symbol, "sell 5 @ 100")) == "5 open +"
    return symbol


def unacknowledged(redis: "Redis") -> set[bytes]:
    """A worker that another test killed leaves some behind."""
    return set(redis.hkeys("unacked"))


def dropped(exchange: Live, place: str) -> float:
    """How many entries of this place the exchange has dropped."""
    found = re.search(
        rf'exchange_malformed_entries_total{{place="{place}"}} (\S+)', httpx.get(f"{exchange.url}/metrics").text
    )
    return float(found[1]) if found else 0.0


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


def test_a_task_is_not_begun_with_arguments_of_another_shape(exchange: Live, symbol: str) -> None:
    before = dropped(exchange, "task")
    with kombu.Connection(exchange.environment["BROKER_URL"]) as connection:
        producer = connection.Producer(serializer="json")
        for task, arguments in itertools.product(("match", "dead_letter", "synchronise_depths"), ARGUMENTS):
            headers = {**HEADERS, "task": f"matching.{task}", "id": f"{task}-{arguments!r:.20}"}
            producer.publish([arguments, {}, {}], routing_key="orders", headers=headers)
    it_goes_on(exchange, symbol)
    # Of a list of symbols none is a task that needs no arguments, and one is right.
    wait_for(lambda: dropped(exchange, "task") - before, lambda number: number >= 3 * len(ARGUMENTS) - 3)


def test_a_pickle_in_a_queue_is_never_loaded(exchange: Live, symbol: str, tmp_path: Path) -> None:
    file = tmp_path / "loaded"
    trap = pickle.dumps(Payload(file))
    pickle.loads(trap)
    assert file.exists(), "the trap works"
    file.unlink()
    before = dropped(exchange, "queue")
    with kombu.Connection(exchange.environment["BROKER_URL"]) as connection:
        producer = connection.Producer()
        for key, headers in itertools.product(("orders", f"orders.{symbol}", "orders.dlq"), ({}, HEADERS)):
            kind = {"content_type": "application/x-python-serialize", "content_encoding": "binary"}
            producer.publish(trap, routing_key=key, headers=headers, **kind)
    it_goes_on(exchange, symbol)
    wait_for(lambda: dropped(exchange, "queue") - before, lambda number: number >= 6)
    assert not file.exists()


@pytest.mark.skipif(not settings.IS_REDIS_BROKER, reason="Redis alone lets anybody write what is no message")
@pytest.mark.parametrize("queue", ["orders", "of the market"])
def test_junk_in_a_queue_ends_no_worker(exchange: Live, symbol: str, queue: str) -> None:
    key = "orders" if queue == "orders" else f"orders.{symbol}"
    entries, counted = list(junk()), dropped(exchange, "queue")
    with Redis(port=exchange.redis.port, db=0) as redis:
        before = unacknowledged(redis)
        for entry in entries:
            redis.lpush(key, entry)
        wait_for(lambda: redis.llen(key), lambda left: left == 0)
        it_goes_on(exchange, symbol)
        # Some are bells all the same.
        wait_for(lambda: dropped(exchange, "queue") - counted, lambda number: number >= len(entries) / 2)
        assert "dropped from queue what cannot be read" in exchange.processes["worker"].log.read_text()
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
