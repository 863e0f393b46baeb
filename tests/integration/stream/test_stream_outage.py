"""Redis, the database, the worker or a client fails: no event is lost."""

import json
import os
import signal
import time
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError
from django.test import override_settings

from base.storage.redis import redis_client
from base.streams import issue_ticket, stats
from base.streams.messages import REDIS_CHANNEL
from base.web.accounts import Credential
from exchange.asgi import ORDER_STATUS_PATH
from orders import catch_up
from orders.feed import publish_updates
from orders.models import OrderEvent
from orders.representation import from_rows
from tests.integration.stream.cast import Cast, connect, opened, until_true
from tools.rig.servers import Server

pytestmark = pytest.mark.django_db(transaction=True)


def test_malformed_messages_are_survived(cast: Cast, port: int) -> None:
    with opened(port, cast.alice) as client, redis_client(settings.REDIS_URL) as publisher:
        for junk in (
            b"",
            b"{",
            b"\xff\xfe",
            b"null",
            b"[]",
            b'{"channel": 1}',
            b"[" * 5000,
            json.dumps({"channel": []}),
        ):
            publisher.publish(REDIS_CHANNEL, junk)
        event = cast.tell(cast.alice)
        assert client.ids(1, 0.9) == [event.event_id]


def test_events_during_an_outage_of_redis_arrive(cast: Cast, redis: Server, port: int) -> None:
    with opened(port, cast.alice) as client:
        redis.kill()
        during = [cast.tell(cast.alice) for _ in range(3)]
        assert client.ids(3, 4) == [event.event_id for event in during], "read from the database"
        redis.start()
        after = cast.tell_many(cast.alice, 3)
        assert sorted(map(str, client.ids(3))) == [event.event_id for event in after]


def test_redis_is_heard_again(cast: Cast, redis: Server, port: int) -> None:
    """Not only read from the database: within milliseconds once it is back."""
    with opened(port, cast.alice) as client, opened(port, cast.bob):
        for _ in range(3):
            redis.kill()
            time.sleep(0.5)
            redis.start()
            deadline = time.monotonic() + 6
            took = 1.0
            while took > 0.2:
                assert time.monotonic() < deadline
                began = time.monotonic()
                event = cast.tell(cast.alice)
                assert client.ids(1) == [event.event_id]
                took = time.monotonic() - began


def test_a_stream_opens_without_redis(cast: Cast, redis: Server, port: int) -> None:
    redis.kill()
    with opened(port, cast.alice) as client:
        event = cast.tell(cast.alice)
        assert client.ids(1) == [event.event_id]
        redis.start()


def test_without_redis_a_ticket_is_good_once_and_a_process_counts_itself(cast: Cast, redis: Server, port: int) -> None:
    redis.kill()
    # The cache is another server here; as if it were the same one.
    with override_settings(REDIS_URL=f"{redis.url}/1"):
        path = f"{ORDER_STATUS_PATH}?ticket={issue_ticket(Credential(cast.alice.pk))}"
        with connect(port, path=path) as client, opened(port, cast.bob):
            assert client.status == 200
            with connect(port, path=path) as again:
                assert again.status == 401
            assert until_true(lambda: stats() == {"totalUsers": 2, "totalConnections": 2})
        assert until_true(lambda: stats()["totalConnections"] == 0)
    redis.start()


def test_a_frozen_redis_is_noticed(cast: Cast, redis: Server, port: int) -> None:
    """It closes no connection and answers nothing."""
    with opened(port, cast.alice) as client:
        assert redis.pid
        os.kill(redis.pid, signal.SIGSTOP)
        try:
            frozen = cast.tell_many(cast.alice, 3)
            assert client.ids(3) == [event.event_id for event in frozen]
        finally:
            os.kill(redis.pid, signal.SIGCONT)
        event = cast.tell(cast.alice)
        assert client.ids(1) == [event.event_id]


def test_the_database_fails_while_a_stream_reads(cast: Cast, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it could not read it still owes, whatever it hears in the meantime."""
    monkeypatch.setattr("base.streams.open_stream.READ_AGAIN_SECONDS", 3.5)
    real, failures = catch_up.events_between, iter([True])

    def failing(*args: Any, **options: Any) -> list[OrderEvent]:
        if next(failures, False):
            raise OperationalError("gone away")
        return real(*args, **options)

    with opened(port, cast.alice) as client:
        time.sleep(1.5)
        monkeypatch.setattr(catch_up, "events_between", failing)
        lost = cast.tell(cast.alice, published=False)
        time.sleep(2.5)
        heard = cast.tell(cast.alice)
        assert client.ids(1) == [heard.event_id]
        assert client.ids(1) == [lost.event_id]


def test_a_client_that_reads_nothing_harms_nobody(cast: Cast, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("base.streams.application.SEND_SECONDS", 1.0)
    stuck = opened(port, cast.alice)
    with opened(port, cast.bob) as bob:
        assert until_true(lambda: stats()["totalConnections"] == 2)
        deadline = time.monotonic() + 30
        while stats()["totalConnections"] == 2:
            assert time.monotonic() < deadline
            cast.tell_many(cast.alice, 500)
            event = cast.tell(cast.bob)
            assert bob.ids(1) == [event.event_id]
    stuck.close()


def test_publishing_without_redis_costs_little(cast: Cast, redis: Server) -> None:
    events = cast.tell_many(cast.alice, 10, published=False)
    redis.kill()
    began = time.monotonic()
    for _ in range(200):
        publish_updates(from_rows(events, {}))
    assert time.monotonic() - began < 3


def test_no_message_is_made_while_redis_is_known_to_be_away(cast: Cast, redis: Server) -> None:
    events = cast.tell_many(cast.alice, 2, published=False)
    redis.kill()
    publish_updates(from_rows(events, {}))
    not_made = iter(from_rows(events, {}))
    publish_updates(not_made)
    assert len(list(not_made)) == 2


def test_a_restored_database_is_a_reset(cast: Cast, port: int) -> None:
    """The numbers are given a second time: who went on from the old ones would miss the new."""
    with opened(port, cast.alice) as client:
        first, *lost = cast.tell_many(cast.alice, 3)
        assert len(client.take(3)) == 3
        time.sleep(2.5)
        OrderEvent.objects.filter(pk__in=[event.pk for event in lost]).delete()
        assert client.next() is None
        assert client.ended
    with opened(port, cast.alice, Last_Event_ID=client.last_event_id) as client:
        reset = client.next()
    assert reset is not None
    assert (reset.type, reset.id) == ("stream-reset", first.event_id)
