"""The streams' transport, without a server: what is published, what is understood, and what the watch concludes."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.conf import settings
from django.core import signing
from django.core.cache import caches
from django.test import RequestFactory, override_settings
from django_eventstream.utils import get_channelmanager
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError

from base.storage import breakers
from base.storage.breakers import breaker_of
from base.streams import TICKET_SECONDS, Message, gap_detector, issue_ticket, redeem_ticket, tickets
from base.streams.gap_detector import GapDetector, Position
from base.streams.hub import Hub
from base.streams.messages import ReceivedMessage, decode, encode, split_id
from base.streams.publisher import Publisher
from base.streams.request import StreamRequest
from base.web.accounts import Credential
from tests.support.live import wait_for

LOCAL_CACHE = {"kept": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


# ------------------------------------------------------------------------------------------------- messages


def test_a_message_has_the_format_of_django_eventstream() -> None:
    told = Message("orders-1", "order-status-update", {"status": "OPEN"}, "BTC-USD-1")
    fields = {
        "channel": "orders-1",
        "event_type": "order-status-update",
        "data": '{"status":"OPEN"}',
        "pub_id": "BTC-USD-1",
    }
    assert json.loads(encode([told, told])) == [fields, fields]
    heard = ReceivedMessage("orders-1", "order-status-update", '{"status":"OPEN"}', "BTC-USD-1")
    assert decode(encode([told, told])) == [heard, heard]


def test_one_malformed_message_does_not_take_its_bundle_along() -> None:
    told = encode([Message("orders-1", "order-status-update", {}, None)]).decode()
    assert len(decode(f"[17, {told[1:-1]}, null]")) == 1


@given(st.binary() | st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_junk_is_no_message(raw: bytes | str) -> None:
    assert decode(raw) == []


@pytest.mark.parametrize(
    ("message_id", "place"),
    [
        ("BTC-USD-17", ("BTC-USD", 17)),
        ("X-1", ("X", 1)),
        ("BTC-USD--1", ("BTC-USD-", 1)),
        ("BTC-USD-" + "9" * 18, ("BTC-USD", 10**18 - 1)),
        *[(junk, None) for junk in (
            None, "", "-", "17", "-17", "BTC-USD-", "BTC USD-1", "BTC-USD-1 ", "BTC-USD-1\n", "BTC-USD-²", "BTC-USD-+1",
            "BTC-USD-1_0", "BTC-USD-" + "9" * 19, "X" * 65 + "-1", "é-1", "\x00-1",
        )],
    ],
)  # fmt: skip
def test_ids(message_id: str | None, place: tuple[str, int] | None) -> None:
    assert split_id(message_id) == place


@given(st.text(st.characters(max_codepoint=255), max_size=200))
def test_any_query_and_header_can_be_read(text: str) -> None:
    raw = text.encode("latin-1")
    scope = {
        "method": "GET",
        "path": "/",
        "query_string": raw,
        "headers": [(b"cookie", raw), (b"last-event-id", raw), (b"Cookie", raw)],
    }
    request = StreamRequest.from_scope(scope)
    assert isinstance(request.cookies, dict)
    split_id(request.last_event_id)


def test_nobody_reads_a_channel_that_he_names() -> None:
    manager = get_channelmanager()
    request = RequestFactory().get("/events?channel=orders-1")
    assert manager.get_channels_for_request(request, {"channel": "orders-1"}) == set()
    assert not manager.can_read_channel(None, "orders-1")


@override_settings(CACHES=LOCAL_CACHE)
def test_a_ticket_is_good_once_and_for_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    ticket, late = issue_ticket(Credential(7)), issue_ticket(Credential(7))
    assert redeem_ticket(ticket + "x") is None
    assert redeem_ticket(ticket).credential == Credential(7)
    assert redeem_ticket(ticket) is None
    assert not any(ticket in key for key in caches["kept"]._cache)
    assert ticket != late
    now = time.time()
    monkeypatch.setattr("django.core.signing.time.time", lambda: now + TICKET_SECONDS + 1)
    assert redeem_ticket(late) is None


@override_settings(CACHES=LOCAL_CACHE)
def test_a_used_ticket_is_useless_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = issue_ticket(Credential(7))
    assert redeem_ticket(ticket).credential == Credential(7)
    monkeypatch.setattr(tickets, "_used", {})
    assert redeem_ticket(ticket) is None


def test_nobody_makes_a_ticket() -> None:
    """Not from another's, and not from what else is signed with the same secret."""
    mine, his = (signing.dumps([user_id, "", None, "nonce"], salt=tickets.SALT) for user_id in (7, 8))
    forged = his.partition(":")[0] + ":" + mine.partition(":")[2]
    for text in (forged, signing.dumps([8, "", None, "nonce"]), "", ":", "a:b:c", "\x00\xff", "\ud800", "x" * 100_000):
        assert redeem_ticket(text) is None
    assert redeem_ticket(mine).credential == Credential(7)


# ------------------------------------------------------------------------------------------------- publishing


class FakeRedis:
    """Counts what is sent; fails while `is_down`."""

    def __init__(self) -> None:
        self.is_down = False
        self.refusal: Exception | None = None
        self.attempts = 0
        self.published: list[str] = []
        self._waiting: list[str] = []

    def pipeline(self, *, transaction: bool) -> contextlib.AbstractContextManager["FakeRedis"]:
        assert not transaction
        return contextlib.nullcontext(self)

    def publish(self, channel: str, text: str) -> None:
        assert channel == "events_channel"
        self._waiting.append(text)

    def execute(self) -> None:
        self.attempts += 1
        waiting, self._waiting = self._waiting, []
        self.ask()
        if self.refusal:
            raise self.refusal
        self.published += waiting

    def ask(self) -> None:
        if self.is_down:
            raise RedisConnectionError("down")


def test_a_batch_is_one_round_trip() -> None:
    redis = FakeRedis()
    Publisher(redis).publish(Message("a", "b", {"n": n}) for n in range(300))  # type: ignore[arg-type]
    assert redis.attempts == 1
    assert [len(decode(bundle)) for bundle in redis.published] == [100, 100, 100]


def test_an_outage_costs_one_attempt_and_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    redis = FakeRedis()
    monkeypatch.setattr(breakers, "ask", lambda _url: redis.ask())
    monkeypatch.setattr(breakers, "FIRST_PAUSE_SECONDS", 0.01)
    publisher = Publisher(redis)  # type: ignore[arg-type]
    redis.is_down = True
    for _ in range(30):
        publisher.publish([Message("a", "b", {})])
    assert redis.attempts == 1
    assert len(caplog.records) == 1
    redis.is_down = False
    wait_for(lambda: breaker_of(settings.REDIS_URL).is_open, lambda is_open: not is_open)
    publisher.publish([Message("a", "b", {})])
    assert len(redis.published) == 1
    assert len(caplog.records) == 2
    assert "answers again" in caplog.messages[-1]


def test_a_refusal_of_redis_is_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    redis = FakeRedis()
    redis.refusal = NoPermissionError("this user may not publish")
    Publisher(redis).publish([Message("a", "b", {})])  # type: ignore[arg-type]
    assert "may not publish" in caplog.messages[-1]
    assert not breaker_of(settings.REDIS_URL).is_open


def test_nothing_that_is_published_can_raise() -> None:
    Publisher(FakeRedis()).publish([Message("a", "b", {"x": object()})])  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------- the watch


class Bench:
    """A watch over a event_log that is a dict, with every look done by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def at_once(function: Callable[..., Any], *args: Any) -> Any:
            return function(*args)

        monkeypatch.setattr(gap_detector, "in_thread", at_once)
        self.owners: dict[str, list[str]] = {"X": []}
        self.is_subscribed = self.has_streams = True
        self.told: list[set[str] | None] = []
        self.detector = GapDetector(
            self,
            is_subscribed=lambda: self.is_subscribed,
            has_streams=lambda: self.has_streams,
            must_catch_up=lambda channels: self.told.append(None if channels is None else set(channels)),
            must_end=lambda: self.told.append({"all end"}),
        )

    def position(self) -> Position:
        return Position({log: len(owners) for log, owners in self.owners.items()})

    def channels_between(self, log: str, first: int, last: int) -> Iterable[str]:
        return self.owners[log][first - 1 : last]

    def commit(self, *owners: str, heard: bool, log: str = "X") -> None:
        for owner in owners:
            self.owners.setdefault(log, []).append(owner)
            if heard:
                self.detector.receive(f"{log}-{len(self.owners[log])}")

    def look(self) -> list[set[str] | None]:
        self.told = []
        asyncio.run(self.detector._look())
        return self.told

    def checkpoint(self, log: str = "X") -> int:
        assert self.detector.checkpoint is not None
        return self.detector.checkpoint.newest.get(log, 0)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_the_first_look_lets_all_read(bench: Bench) -> None:
    bench.commit("alice", heard=False)
    assert bench.look() == [None]
    assert bench.checkpoint() == 1
    assert bench.look() == []


def test_what_was_heard_needs_no_reading(bench: Bench) -> None:
    bench.look()
    for _ in range(5):
        bench.commit("alice", "bob", heard=True)
        assert bench.look() == []
    assert bench.look() == []
    assert bench.checkpoint() == 10


def test_what_was_not_heard_by_the_second_look_is_read(bench: Bench) -> None:
    bench.look()
    bench.commit("alice", heard=True)
    bench.commit("bob", heard=False)
    bench.commit("carol", heard=True)
    assert bench.look() == [], "it may be on its way"
    assert bench.look() == [{"bob"}]
    assert bench.checkpoint() == 3
    assert bench.look() == []


def test_a_run_of_numbers_has_no_hole(bench: Bench) -> None:
    for number in (3, 4, 5):
        bench.detector.receive(f"X-{number}")
    assert bench.detector.has_all("X", 2, 5)
    assert not bench.detector.has_all("X", 1, 5)
    bench.detector.receive("X-7")
    assert not bench.detector.has_all("X", 5, 7)
    bench.detector.receive("X-6")
    assert bench.detector.has_all("X", 5, 7)
    assert not bench.detector.has_all("Y", 0, 1)


def test_what_comes_late_is_no_gap(bench: Bench) -> None:
    bench.look()
    bench.commit("alice", heard=False)
    bench.look()
    bench.detector.receive("X-1")
    assert bench.look() == []
    assert bench.checkpoint() == 1


def test_a_new_log_is_watched_from_its_first_message(bench: Bench) -> None:
    bench.look()
    bench.commit("alice", heard=False, log="NEW")
    bench.commit("bob", heard=True, log="NEW")
    assert bench.look() == []
    assert bench.look() == [{"alice"}]


def test_without_a_subscription_everything_is_read_at_once(bench: Bench) -> None:
    bench.look()
    bench.is_subscribed = False
    bench.commit("alice", heard=False)
    assert bench.look() == [{"alice"}]
    assert bench.look() == []
    bench.is_subscribed = True
    bench.detector.begin_anew()
    assert bench.look() == [None]


def test_a_look_that_began_before_the_subscription_counts_for_nothing(bench: Bench) -> None:
    bench.look()
    real = bench.position

    def position() -> Position:
        found = real()
        bench.commit("alice", heard=False)
        bench.detector.begin_anew()
        return found

    bench.position = position  # type: ignore[method-assign]
    assert bench.look() == []
    assert bench.detector.checkpoint is None
    bench.position = real  # type: ignore[method-assign]
    assert bench.look() == [None]
    assert bench.checkpoint() == 1


def test_a_restored_database_ends_all(bench: Bench) -> None:
    bench.commit("alice", "bob", heard=True)
    bench.look()
    bench.owners["X"].pop()
    assert bench.look() == [{"all end"}]
    assert bench.checkpoint() == 1
    bench.commit("carol", heard=False)
    bench.look()
    assert bench.look() == [{"carol"}]


def test_nobody_listening_costs_nothing(bench: Bench) -> None:
    bench.look()
    bench.has_streams = False
    bench.position = None  # type: ignore[assignment, method-assign]
    bench.commit("alice", heard=True)
    assert bench.look() == []
    assert bench.detector.checkpoint is None
    assert not bench.detector._received


def test_memory_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap_detector, "RECEIVED_LIMIT", 10)
    bench.look()
    for number in range(1000):
        bench.detector.receive(f"X-{number}")
        bench.detector.receive(f"JUNK{number}-1")
    bench.look()
    assert sum(len(heard) for heard in bench.detector._received.values()) <= 10


@given(st.lists(st.tuples(st.sampled_from(["alice", "bob"]), st.booleans(), st.booleans()), max_size=40))
def test_whatever_is_lost_is_read_by_its_owner(history: list[tuple[str, bool, bool]]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        bench = Bench(monkeypatch)
        bench.look()
        lost: set[str] = set()
        read: set[str] = set()
        for owner, heard, then_look in history:
            bench.commit(owner, heard=heard)
            if not heard:
                lost.add(owner)
            if then_look:
                read.update(*filter(None, bench.look()))
        for _ in range(2):
            read.update(*filter(None, bench.look()))
        assert lost <= read
        assert bench.checkpoint() == len(history)


def test_stopping_ends_a_task_that_swallows_its_cancellation(bench: Bench) -> None:
    """As redis-py does now and then while it connects; the server would wait for ever."""

    async def stubborn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    async def stopped() -> bool:
        hub = Hub(bench)
        task = asyncio.create_task(stubborn())
        hub._tasks = [task]
        await asyncio.sleep(0)
        await hub.stop()
        return task.cancelled()

    assert asyncio.run(stopped())
