"""The stream of a user's own orders: a real server, a real Redis, a real database."""

import gc
import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client, override_settings
from django.utils import timezone
from redis import Redis
from rest_framework_simplejwt.tokens import AccessToken

from exchange.asgi import ORDER_STATUS_PATH, application
from exchange.streams import issue_ticket, publisher, stats
from exchange.streams.connection import redis_options
from exchange.streams.messages import REDIS_CHANNEL
from markets.models import Asset, Market, Trade
from orders import replay
from orders.models import Order, OrderEvent
from orders.stream import publish_order_events
from scripts.servers import Server, free_port, start_redis
from tests.integration.stream_client import StreamClient

pytestmark = pytest.mark.django_db(transaction=True)


class World:
    """Alice and Bob have orders in two markets. `tell` commits an event; whether it is published is up to the test."""

    def __init__(self) -> None:
        for code in ("BTC", "ETH", "USD"):
            Asset.objects.create(code=code)
        for symbol in ("BTC-USD", "ETH-USD"):
            Market.objects.create(
                symbol=symbol,
                base_id=symbol[:3],
                quote_id="USD",
                tick_size=Decimal("0.01"),
                lot_size=Decimal("0.0001"),
                min_quantity=Decimal("0.0001"),
            )
        self.alice = self._user("alice")
        self.bob = self._user("bob")
        self._sequences = {"BTC-USD": itertools.count(1), "ETH-USD": itertools.count(1)}
        self._orders: dict[tuple[int, str], Order] = {}

    def tell(self, user: Any, symbol: str = "BTC-USD", *, published: bool = True, **fields: Any) -> OrderEvent:
        return self.tell_many(user, 1, symbol, published=published, **fields)[0]

    def tell_many(
        self, user: Any, count: int, symbol: str = "BTC-USD", *, published: bool = True, **fields: Any
    ) -> list[OrderEvent]:
        order = self.order(user, symbol)
        defaults = {
            "status": "OPEN",
            "active": True,
            "filled_quantity": Decimal(0),
            "filled_notional": Decimal(0),
            "created_at": timezone.now(),
        }
        events = OrderEvent.objects.bulk_create(
            OrderEvent(
                market_id=symbol,
                sequence=next(self._sequences[symbol]),
                order=order,
                user_id=user.pk,
                **{**defaults, **fields},
            )
            for _ in range(count)
        )
        if published:
            publish_order_events(events, {})
        return events

    def order(self, user: Any, symbol: str = "BTC-USD") -> Order:
        if (user.pk, symbol) not in self._orders:
            now = timezone.now()
            self._orders[user.pk, symbol] = Order.objects.create(
                user=user,
                market_id=symbol,
                side="BUY",
                type="LIMIT",
                time_in_force="GTC",
                self_trade_prevention="NONE",
                price=Decimal(100),
                quantity=Decimal(2),
                correlation_id="test",
                created_at=now,
                updated_at=now,
            )
        return self._orders[user.pk, symbol]

    def _user(self, name: str) -> Any:
        user = get_user_model()(username=name, email=f"{name}@example.com")
        user.set_unusable_password()
        user.save()
        return user


@pytest.fixture
def world() -> World:
    return World()


@contextmanager
def serving(app: Any = application, **options: Any) -> Iterator[int]:
    port = free_port()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1, **options
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="server")
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield port
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def port() -> Iterator[int]:
    with serving() as port:
        yield port


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Server]:
    """A Redis that the test may kill."""
    with (
        start_redis(tmp_path) as server,
        override_settings(EVENTSTREAM_REDIS={"host": "127.0.0.1", "port": server.port}),
    ):
        publisher._publisher.cache_clear()
        yield server
    publisher._publisher.cache_clear()


def connect(port: int, user: Any = None, path: str = ORDER_STATUS_PATH, **headers: str) -> StreamClient:
    if user is not None:
        headers["Authorization"] = f"Bearer {AccessToken.for_user(user)}"
    return StreamClient(port, path, **headers)


def opened(port: int, user: Any, **headers: str) -> StreamClient:
    """A stream that has said `connected`."""
    client = connect(port, user, **headers)
    told = client.next()
    assert told is not None
    assert told.type == "connected"
    return client


# ------------------------------------------------------------------------------------------------- what is told


def test_connected_comes_first(world: World, port: int) -> None:
    with connect(port, world.alice) as client:
        told = client.next()

    assert client.status == 200
    assert client.headers["content-type"].startswith("text/event-stream")
    assert client.headers["cache-control"] == "no-cache"
    assert client.headers["x-accel-buffering"] == "no"
    assert told is not None
    assert (told.type, told.data, told.id) == ("connected", {"userId": world.alice.pk}, None)
    assert told.lines[0].startswith("retry: ")


def test_an_event_is_the_full_state_of_the_order(world: World, port: int) -> None:
    order = world.order(world.alice)
    with opened(port, world.alice) as client:
        trade = Trade.objects.create(
            market_id="BTC-USD",
            sequence=1,
            buy_order_id=order.pk,
            sell_order_id=0,
            taker_side="SELL",
            price=Decimal(100),
            quantity=Decimal("0.5"),
            buyer_fee=Decimal("0.0005"),
            seller_fee=Decimal(1),
            created_at=timezone.now(),
        )
        event = world.tell(
            world.alice,
            published=False,
            status="PARTIALLY_FILLED",
            filled_quantity=Decimal("0.5"),
            filled_notional=Decimal(50),
            trade_sequence=1,
        )
        publish_order_events([event], {("BTC-USD", 1): trade})
        heard = client.next()
    with connect(port, world.alice, Last_Event_ID="BTC-USD-0") as client:
        assert [told.type for told in client.take(2)] == ["connected", "stream-reset"]
    second = world.tell(world.alice, published=False)
    with opened(port, world.alice, Last_Event_ID=event.event_id) as client:
        replayed = client.next()

    assert heard is not None
    assert replayed is not None
    assert (heard.type, heard.id) == ("order-status-update", "BTC-USD-1")
    assert heard.data["status"] == "PARTIALLY_FILLED"
    assert heard.data["filledQuantity"] == "0.5"
    assert heard.data["remainingQuantity"] == "1.5"
    assert heard.data["averagePrice"] == "100"
    assert heard.data["eventId"] == "BTC-USD-1"
    assert heard.data["sequence"] == 1
    assert heard.data["lastTrade"] == {
        "tradeId": "BTC-USD-1",
        "price": "100",
        "quantity": "0.5",
        "role": "MAKER",
        "fee": "0.0005",
    }
    assert replayed.id == second.event_id
    assert set(heard.data) - set(replayed.data) == {"lastTrade"}


def test_replayed_is_what_was_heard(world: World, port: int) -> None:
    first = world.tell(world.alice)
    order = world.order(world.alice)
    trade = Trade.objects.create(
        market_id="BTC-USD", sequence=2, buy_order_id=order.pk, sell_order_id=0, taker_side="BUY",
        price=Decimal(99), quantity=Decimal(1), created_at=timezone.now(),
    )  # fmt: skip
    with opened(port, world.alice) as client:
        event = world.tell(world.alice, published=False, filled_quantity=1, filled_notional=99, trade_sequence=2)
        event.refresh_from_db()
        publish_order_events([event], {("BTC-USD", 2): trade})
        heard = client.next()
    with opened(port, world.alice, Last_Event_ID=first.event_id) as client:
        replayed = client.next()

    assert heard is not None
    assert replayed is not None
    assert heard.data["lastTrade"]["role"] == "TAKER"
    assert heard.data == replayed.data


def test_users_see_only_their_own(world: World, port: int) -> None:
    with opened(port, world.alice) as alice, opened(port, world.bob) as bob:
        for _ in range(5):
            world.tell(world.alice)
            world.tell(world.bob)

        assert alice.ids(5) == ["BTC-USD-1", "BTC-USD-3", "BTC-USD-5", "BTC-USD-7", "BTC-USD-9"]
        assert bob.ids(5) == ["BTC-USD-2", "BTC-USD-4", "BTC-USD-6", "BTC-USD-8", "BTC-USD-10"]
        assert alice.next(2.5) is None
        assert bob.next(0) is None


def test_a_named_channel_changes_nothing(world: World, port: int) -> None:
    query = f"?channel=orders-{world.bob.pk}&es-meta=x&link=next&recover=1&lastEventId=orders-{world.bob.pk}:1"
    with connect(port, world.alice, ORDER_STATUS_PATH + query) as client:
        assert [told.type for told in client.take(2)] == ["connected", "stream-reset"]
        world.tell(world.bob)
        mine = world.tell(world.alice)
        assert client.ids(1) == [mine.event_id]


def test_a_burst_arrives_whole(world: World, port: int) -> None:
    with opened(port, world.alice) as client:
        events = world.tell_many(world.alice, 500)

        assert client.ids(500) == [event.event_id for event in events]


def test_more_than_a_queue_holds_arrives_or_is_a_reset(world: World, port: int) -> None:
    with opened(port, world.alice) as client, ThreadPoolExecutor() as pool:
        sent = pool.submit(world.tell_many, world.alice, 5000)
        told = client.take(5000, timeout=20)
        sent.result()

    ids = [event.id for event in told]
    if any(event.type == "stream-reset" for event in told):
        assert ids[-1] == "BTC-USD-5000" or told[-1].type == "stream-reset"
    else:
        assert sorted(ids) == sorted(f"BTC-USD-{number}" for number in range(1, 5001))


# ------------------------------------------------------------------------------------------------- who may listen


def test_nobody_listens_without_signing_in(world: World, port: int) -> None:
    for headers in ({}, {"Authorization": "Bearer x.y.z"}, {"Authorization": "Basic eDp5"}, {"Cookie": "sessionid=x"}):
        with connect(port, **headers) as client:
            body = client.body()
        assert client.status == 401, headers
        assert body["error"] == "NOT_AUTHENTICATED"
        assert set(body) == {"code", "error", "message", "data", "timestamp"}
        assert client.headers["www-authenticate"].startswith("Bearer")


def test_another_account_is_refused(world: World, port: int) -> None:
    for named in (str(world.bob.pk), "nobody", "9" * 40):
        with connect(port, world.alice, f"{ORDER_STATUS_PATH}?userId={named}") as client:
            assert (client.status, client.body()["error"]) == (403, "NOT_YOUR_ACCOUNT")
    with connect(port, world.alice, f"{ORDER_STATUS_PATH}?userId={world.alice.pk}") as client:
        assert client.status == 200


def test_staff_may_name_another(world: World, port: int) -> None:
    world.alice.is_staff = True
    world.alice.save()
    with connect(port, world.alice, f"{ORDER_STATUS_PATH}?userId={world.bob.pk}") as client:
        told = client.next()
    assert told is not None
    assert told.data == {"userId": world.bob.pk}
    with connect(port, world.alice, f"{ORDER_STATUS_PATH}?userId=99999") as client:
        assert (client.status, client.body()["error"]) == (404, "USER_NOT_FOUND")


def test_only_get(world: World, port: int) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        with StreamClient(port, ORDER_STATUS_PATH, method=method) as client:
            assert (client.status, client.body()["error"]) == (405, "METHOD_NOT_ALLOWED")
            assert client.headers["allow"] == "GET"


def test_a_barred_user_is_refused(world: World, port: int) -> None:
    token = f"Bearer {AccessToken.for_user(world.alice)}"
    world.alice.is_active = False
    world.alice.save()
    with connect(port, Authorization=token) as client:
        assert client.status == 401


def test_a_session_signs_in(world: World, port: int) -> None:
    browser = Client()
    browser.force_login(world.alice)
    cookie = f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"
    with connect(port, Cookie=cookie) as client:
        told = client.next()
    assert told is not None
    assert told.data == {"userId": world.alice.pk}
    browser.logout()
    with connect(port, Cookie=cookie) as client:
        assert client.status == 401


def test_a_ticket_is_good_once(world: World, port: int) -> None:
    ticket = issue_ticket(world.alice.pk)
    assert len(ticket) >= 22
    with connect(port, path=f"{ORDER_STATUS_PATH}?ticket={ticket}") as client:
        told = client.next()
    assert told is not None
    assert told.data == {"userId": world.alice.pk}
    for used in (ticket, "garbage", "%00%ff" * 1000):
        with connect(port, path=f"{ORDER_STATUS_PATH}?ticket={used}") as client:
            assert client.status == 401


def test_of_two_that_bring_one_ticket_one_gets_in(world: World, port: int) -> None:
    for _ in range(10):
        path = f"{ORDER_STATUS_PATH}?ticket={issue_ticket(world.alice.pk)}"
        with ThreadPoolExecutor(8) as pool:
            clients = list(pool.map(lambda _, path=path: connect(port, path=path), range(8)))
        assert sorted(client.status for client in clients) == [200] + [401] * 7
        for client in clients:
            client.close()


def test_one_user_has_not_every_connection(world: World, port: int) -> None:
    with override_settings(STREAM_MAX_PER_USER=3):
        clients = [opened(port, world.alice) for _ in range(3)]
        with connect(port, world.alice) as client:
            assert (client.status, client.body()["error"]) == (429, "TOO_MANY_REQUESTS")
        with opened(port, world.bob):
            pass
        clients.pop().close()
        deadline = time.monotonic() + 5
        while connect(port, world.alice).status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for client in clients:
            client.close()


# ------------------------------------------------------------------------------------------------- what was missed


def test_replay_is_exact_in_one_market(world: World, port: int) -> None:
    events = [world.tell(user, published=False) for user in (world.alice, world.bob) * 10]
    mine = [event.event_id for event in events if event.user_id == world.alice.pk]
    with opened(port, world.alice, Last_Event_ID=mine[3]) as client:
        assert client.ids(6) == mine[4:]
        live = world.tell(world.alice)
        assert client.ids(1) == [live.event_id]
    with connect(port, world.alice, f"{ORDER_STATUS_PATH}?lastEventId={mine[8]}") as client:
        assert client.ids(2) == [None, mine[9]]


def test_replay_reaches_into_other_markets(world: World, port: int) -> None:
    """Which of two markets committed first cannot be told from the numbers: better twice than never."""
    now = timezone.now()
    old = world.tell(world.alice, "ETH-USD", published=False, created_at=now - timedelta(minutes=5))
    just_before = world.tell(world.alice, "ETH-USD", published=False, created_at=now - timedelta(seconds=5))
    seen = world.tell(world.alice, "BTC-USD", published=False, created_at=now)
    after = world.tell(world.alice, "ETH-USD", published=False, created_at=now + timedelta(seconds=1))
    same = world.tell(world.alice, "BTC-USD", published=False, created_at=now + timedelta(seconds=2))

    with opened(port, world.alice, Last_Event_ID=seen.event_id) as client:
        assert client.ids(4, 2) == [just_before.event_id, after.event_id, same.event_id]
    assert old.event_id not in (just_before.event_id, after.event_id)


@pytest.mark.parametrize(
    "garbage",
    ["x", "-", "BTC-USD-", "BTC-USD-0", "BTC-USD-999", "BTC-USD--1", "BTC-USD-1e3", "BTC-USD-" + "9" * 30, "u1:abc",
     "orders-1:7", "a" * 6000, "\xff\xfe", "'; DROP TABLE orders; --", "NOPE-1", "BTC-USD-\xb2", "btc-usd-1", "%00"],
)  # fmt: skip
def test_garbage_is_a_reset_and_then_live(world: World, port: int, garbage: str) -> None:
    mine = world.tell(world.alice, published=False)
    with opened(port, world.alice, Last_Event_ID=garbage) as client:
        reset = client.next()
        assert reset is not None
        assert (reset.type, reset.id) == ("stream-reset", mine.event_id)
        live = world.tell(world.alice)
        assert client.ids(1) == [live.event_id]


def test_another_users_event_is_a_reset(world: World, port: int) -> None:
    theirs = world.tell(world.bob, published=False)
    with opened(port, world.alice, Last_Event_ID=theirs.event_id) as client:
        reset = client.next()
    assert reset is not None
    assert (reset.type, reset.id) == ("stream-reset", "")


def test_too_much_is_a_reset(world: World, port: int) -> None:
    events = world.tell_many(world.alice, 1002, published=False)
    with opened(port, world.alice, Last_Event_ID=events[0].event_id) as client:
        reset = client.next()
        assert reset is not None
        assert (reset.type, reset.id) == ("stream-reset", "BTC-USD-1002")
        assert client.next(1.5) is None
    with opened(port, world.alice, Last_Event_ID=events[1].event_id) as client:
        assert len(client.take(1000)) == 1000


def test_connected_is_somewhere_to_go_on_from(world: World, port: int) -> None:
    world.tell(world.alice, published=False)
    with opened(port, world.alice) as client:
        last_event_id = client.last_event_id
    missed = world.tell(world.alice)
    with opened(port, world.alice, Last_Event_ID=last_event_id) as client:
        assert client.ids(1) == [missed.event_id]


def test_what_was_never_published_is_read(world: World, port: int) -> None:
    """The worker dies between its commit and its publication: its users hear of it all the same."""
    with opened(port, world.alice) as client:
        lost = world.tell(world.alice, published=False)
        assert client.ids(1) == [lost.event_id]


def test_a_hole_between_published_events_is_filled(world: World, port: int) -> None:
    """The newest number was heard; only the missing ones in between show that something was lost."""
    with opened(port, world.alice) as alice, opened(port, world.bob) as bob:
        lost = world.tell_many(world.alice, 3, published=False)
        heard = [world.tell(world.alice), world.tell(world.bob)]

        assert alice.ids(1, 0.9) == [heard[0].event_id]
        assert alice.ids(3) == [event.event_id for event in lost]
        assert bob.ids(1) == [heard[1].event_id]
        assert alice.next(2.5) is None, "nothing comes twice"
        assert bob.next(0) is None


# ------------------------------------------------------------------------------------------------- when things break


def test_malformed_messages_are_survived(world: World, port: int) -> None:
    with opened(port, world.alice) as client, Redis(**redis_options()) as redis:
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
            redis.publish(REDIS_CHANNEL, junk)
        event = world.tell(world.alice)
        assert client.ids(1, 0.9) == [event.event_id]


def test_events_during_an_outage_of_redis_arrive(world: World, own_redis: Server, port: int) -> None:
    with opened(port, world.alice) as client:
        own_redis.kill()
        during = [world.tell(world.alice) for _ in range(3)]
        assert client.ids(3, 4) == [event.event_id for event in during], "read from the database"
        own_redis.start()
        after = world.tell_many(world.alice, 3)
        assert sorted(map(str, client.ids(3))) == [event.event_id for event in after]


def test_redis_is_heard_again(world: World, own_redis: Server, port: int) -> None:
    """Not only read from the database: within milliseconds once it is back."""
    with opened(port, world.alice) as client, opened(port, world.bob):
        for _ in range(3):
            own_redis.kill()
            time.sleep(0.5)
            own_redis.start()
            deadline = time.monotonic() + 6
            took = 1.0
            while took > 0.2:
                assert time.monotonic() < deadline
                began = time.monotonic()
                event = world.tell(world.alice)
                assert client.ids(1) == [event.event_id]
                took = time.monotonic() - began


def test_a_stream_opens_without_redis(world: World, own_redis: Server, port: int) -> None:
    own_redis.kill()
    with opened(port, world.alice) as client:
        event = world.tell(world.alice)
        assert client.ids(1) == [event.event_id]
        own_redis.start()


def test_a_frozen_redis_is_noticed(world: World, own_redis: Server, port: int) -> None:
    """It closes no connection and answers nothing."""
    with opened(port, world.alice) as client:
        assert own_redis.pid
        os.kill(own_redis.pid, signal.SIGSTOP)
        try:
            frozen = world.tell_many(world.alice, 3)
            assert client.ids(3) == [event.event_id for event in frozen]
        finally:
            os.kill(own_redis.pid, signal.SIGCONT)
        event = world.tell(world.alice)
        assert client.ids(1) == [event.event_id]


def test_the_database_fails_while_a_stream_reads(world: World, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it could not read it still owes, whatever it hears in the meantime."""
    monkeypatch.setattr("exchange.streams.application.READ_AGAIN_SECONDS", 3.5)
    real, failures = replay.events_between, iter([True])

    def failing(*args: Any, **options: Any) -> list[OrderEvent]:
        if next(failures, False):
            raise OperationalError("gone away")
        return real(*args, **options)

    with opened(port, world.alice) as client:
        time.sleep(1.5)
        monkeypatch.setattr(replay, "events_between", failing)
        lost = world.tell(world.alice, published=False)
        time.sleep(2.5)
        heard = world.tell(world.alice)
        assert client.ids(1) == [heard.event_id]
        assert client.ids(1) == [lost.event_id]


def test_a_client_that_reads_nothing_harms_nobody(world: World, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.streams.application.SEND_SECONDS", 1.0)
    stuck = opened(port, world.alice)
    with opened(port, world.bob) as bob:
        assert _until_true(lambda: stats()["totalConnections"] == 2)
        deadline = time.monotonic() + 30
        while stats()["totalConnections"] == 2:
            assert time.monotonic() < deadline
            world.tell_many(world.alice, 500)
            event = world.tell(world.bob)
            assert bob.ids(1) == [event.event_id]
    stuck.close()


def test_publishing_without_redis_costs_little(world: World, own_redis: Server) -> None:
    events = world.tell_many(world.alice, 10, published=False)
    own_redis.kill()
    began = time.monotonic()
    for _ in range(200):
        publish_order_events(events, {})
    assert time.monotonic() - began < 3


# ------------------------------------------------------------------------------------------------- what it costs


def test_idle_streams_hold_no_threads_and_no_connections(world: World) -> None:
    with override_settings(STREAM_MAX_PER_USER=100), serving() as port:
        opened(port, world.alice).close()
        threads = threading.active_count()
        clients = [opened(port, user) for user in (world.alice, world.bob) for _ in range(50)]
        time.sleep(0.5)

        assert threading.active_count() <= threads + 4
        assert _until_true(lambda: not _connections_of_the_streams())
        event = world.tell(world.alice)
        assert [client.ids(1) for client in clients[:50]] == [[event.event_id]] * 50
        for client in clients:
            client.close()


def test_everybody_is_counted(world: World, port: int) -> None:
    assert _until_true(lambda: stats() == {"totalUsers": 0, "totalConnections": 0}, 20)
    clients = [opened(port, user) for user in (world.alice, world.alice, world.bob)]
    assert _until_true(lambda: stats() == {"totalUsers": 2, "totalConnections": 3})
    clients.pop().close()
    assert _until_true(lambda: stats() == {"totalUsers": 1, "totalConnections": 2})
    for client in clients:
        client.close()
    assert _until_true(lambda: stats() == {"totalUsers": 0, "totalConnections": 0})


def test_a_stream_ends_in_time(world: World, port: int) -> None:
    with override_settings(STREAM_MAX_SECONDS=1), opened(port, world.alice) as client:
        assert client.next(3) is None
        assert client.ended


def test_a_stopping_server_ends_its_streams(world: World) -> None:
    with serving() as port:
        clients = [opened(port, world.alice) for _ in range(5)]
        began = time.monotonic()
    assert time.monotonic() - began < 4
    for client in clients:
        assert client.next(1) is None
        assert client.ended
        client.close()


def test_keep_alives_and_leaving_when_barred(world: World, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.streams.application.KEEP_ALIVE_SECONDS", 0.2)
    monkeypatch.setattr("exchange.streams.application.PERMISSION_SECONDS", 0.5)
    with opened(port, world.alice) as client:
        assert client.next(1) is None
        assert client.keep_alives >= 3
        world.alice.is_active = False
        world.alice.save()
        assert _until_true(lambda: client.next(0.1) is None and client.ended, 3)


def test_the_rest_is_answered_by_wsgi(port: int) -> None:
    for path in ("/nothing", ORDER_STATUS_PATH + "/", ORDER_STATUS_PATH + "/nothing"):
        with StreamClient(port, path, X_Forwarded_For="1.2.3.4") as client:
            assert client.status == 404


def _connections_of_the_streams() -> list[BaseDatabaseWrapper]:
    theirs = {thread.ident for thread in threading.enumerate() if thread.name.startswith(("stream-database", "server"))}
    wrappers = [it for it in gc.get_objects() if isinstance(it, BaseDatabaseWrapper) and it.connection is not None]
    return [wrapper for wrapper in wrappers if wrapper._thread_ident in theirs]


def _until_true(condition: Any, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not (is_true := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(is_true)
