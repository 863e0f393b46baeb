"""What is no entry in a cache, a report or the channel of the events is dropped: the rows answer, the streams go on.

tests/integration/test_malformed_messages.py has the queues, test_two_servers.py the pickles in the caches.
"""

import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings

from balances.cache import Look, _parse
from base.storage.coherence import Lease
from base.storage.redis import redis_client
from base.streams import presence
from base.streams.messages import decode
from base.streams.subscription import Subscription
from base.telemetry import malformed
from base.telemetry.metrics import MALFORMED
from marketdata import depth_cache
from marketdata.depth import read_depth
from tests.support.world import World

Log = Callable[[], list[dict[str, Any]]]
GOOD = {"channel": "orders-1", "event_type": "order-status-update", "data": "{}", "pub_id": "BTC-USD-1"}
NO_DEPTHS: tuple[Any, ...] = (
    "garbage",
    b"\xff\xfe",
    {"sequence": "x"},
    {"fence": "x"},
    {"levels": "1.5"},
    {"bids": "garbage"},
    {"asks": "1:2"},
    {"asks": b"\xff"},
    {"asks": "1:2:x"},
)


@pytest.fixture(autouse=True)
def a_line_for_each() -> None:
    """Whatever another test dropped within the second."""
    malformed._next_line.clear()


def dropped(place: str) -> float:
    return float(MALFORMED.labels(place)._value.get())


@pytest.mark.parametrize("entry", NO_DEPTHS, ids=str)
def test_a_depth_that_is_none_is_read_from_the_rows_and_written_anew(world: World, entry: Any, log: Log) -> None:
    client, key = depth_cache.client(), depth_cache.key(world.symbol)
    client.delete(key)
    world.play(world.bob, "sell 1 @ 101")
    if isinstance(entry, dict):
        client.hset(key, mapping=entry)
    else:
        client.delete(key)
        client.set(key, entry)
    for _ in range(2):
        answer = world.carol.get(f"/orderbook/{world.symbol}?limit=5")
        assert [level["price"] for level in answer["asks"]] == ["101"]
    world.play(world.bob, "sell 1 @ 102")
    kept = depth_cache.read_kept(world.symbol)
    assert kept is not None
    assert [level["price"] for level in read_depth(world.symbol, 5)["asks"]] == ["101", "102"]
    assert kept.asks == "10100000000:100000000:1 10200000000:100000000:1"
    if isinstance(entry, dict):
        assert [line for line in log() if "dropped from depth" in line["event"]]


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "v",
        "v t",
        "v t garbage",
        "v t 1",
        "v t [1]",
        "v t [[]]",
        'v t [["USD", "x", "1", null]]',
        "v t " + "[" * 9999,
    ],
)
def test_balances_that_are_none_are_read_from_the_rows(entry: str) -> None:
    before = dropped("balances")
    assert _parse(1, Look("run", "v", "entry", entry), Lease("t", "run", 0.0)) is None
    assert dropped("balances") == before + 1


@pytest.mark.parametrize("report", ["garbage", "[1]", '{"a": "b"}', "null", "[" * 9999])
def test_a_report_of_connections_that_is_none_is_left_out(report: str) -> None:
    with redis_client(settings.REDIS_URL) as client:
        for process, text in (("odd", report), ("good", '{"1": 2}')):
            client.sadd(presence.PROCESSES_KEY, process)
            client.set(f"streams:connections:{process}", text, ex=5)
        before = dropped("connections")
        assert presence.stats()["totalConnections"] >= 2
        assert dropped("connections") == before + 1
        client.delete("streams:connections:odd", "streams:connections:good")


@pytest.mark.parametrize(
    "message",
    [
        *(b"garbage", b"\xff\xfe", b"", b"1", b"null", b"{}", b"[1]", b"[[]]", pickle.dumps({"channel": "a"})),
        *(
            json.dumps([{**GOOD, name: value}]).encode()
            for name in ("channel", "event_type")
            for value in (None, 1, [], {})
        ),
        json.dumps([{**GOOD, "data": None}]).encode(),
        json.dumps([{**GOOD, "event_type": "x\ndata: forged"}]).encode(),
        json.dumps([{**GOOD, "event_type": "x" * 10_000}]).encode(),
    ],
    ids=str,
)
def test_what_is_no_event_is_dropped_and_the_next_is_received(message: bytes, log: Log) -> None:
    before = dropped("events")
    assert decode(message) == []
    assert dropped("events") == before + 1
    assert [line["level"] for line in log() if "dropped from events" in line["event"]] == ["error"]
    assert len(decode(json.dumps([GOOD, 1, GOOD]))) == 2, "what came along with it is received"


def test_an_event_that_cannot_be_taken_does_not_end_the_subscription() -> None:
    taken = []

    def take(received: Any) -> None:
        taken.append(received.channel)
        raise ValueError("not that one")

    subscription = Subscription(take, lambda: None)
    bundle = json.dumps([GOOD, {**GOOD, "channel": "orders-2"}])
    assert subscription._handle({"type": "message", "data": bundle}) == 2
    assert taken == ["orders-1", "orders-2"]


def test_a_flood_of_junk_fills_no_log(log: Log) -> None:
    before = dropped("queue")
    for _ in range(1000):
        malformed.drop_malformed("queue", "x\ny" * 1000)
    assert dropped("queue") == before + 1000
    lines = [line["event"] for line in log() if "dropped from queue" in line["event"]]
    assert 1 <= len(lines) <= 3
    assert all(len(line) < 400 and "\n" not in line for line in lines)
