"""A Redis that is dead, frozen or of no use costs a process one timeout, and nobody an error."""

import logging
import os
import signal
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from celery import Celery
from django.conf import settings
from django.test import override_settings
from kombu.exceptions import OperationalError
from redis import Redis

from base.storage.breakers import Breaker, breaker_of, forget_breakers
from base.storage.redis import TIMEOUT_SECONDS, ask
from base.streams import Message, issue_ticket, publish, publisher, redeem_ticket, stats
from base.web.accounts import Credential
from base.web.ratelimit.windows import SharedWindow
from commands import queue
from tests.support.live import wait_for
from tests.support.routes import served
from tests.support.world import World
from tools.rig.servers import Server, start_redis

SLACK_SECONDS = 0.2
ONCE_SECONDS = TIMEOUT_SECONDS + SLACK_SECONDS
RECOVERY_SECONDS = 1.5
OUTAGES = pytest.mark.parametrize("how", ["frozen", "dead"])


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Broker, cache and the streams' channel in one, of this test alone."""
    with start_redis(tmp_path) as server:
        monkeypatch.setattr(queue, "current_app", celery_app(f"{server.url}/0"))
        url = f"{server.url}/1"
        caches = {name: {**cache, "LOCATION": url} for name, cache in settings.CACHES.items()}
        with override_settings(REDIS_URL=url, CACHE_URL=url, CACHES=caches):
            publisher._publisher.cache_clear()
            try:
                yield server
            finally:
                publisher._publisher.cache_clear()
                if server.pid:
                    os.kill(server.pid, signal.SIGCONT)


def celery_app(broker_url: str) -> Celery:
    app = Celery("private", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.broker_url = broker_url
    return app


def take_away(server: Server, how: str) -> None:
    if how == "dead":
        server.kill()
        return
    assert server.pid
    os.kill(server.pid, signal.SIGSTOP)


def bring_back(server: Server) -> None:
    if server.pid is None:
        server.start()
    else:
        os.kill(server.pid, signal.SIGCONT)


def breaker() -> Breaker:
    return breaker_of(settings.REDIS_URL)


def seconds(call: Callable[[], object], times: int = 1) -> float:
    began = time.monotonic()
    for _ in range(times):
        call()
    return time.monotonic() - began


def redeem() -> None:
    assert redeem_ticket(issue_ticket(Credential(7))).credential == Credential(7)


CALLS: dict[str, Callable[[], object]] = {
    "ring": lambda: queue.ring_now("BTC-USD"),
    "silence": lambda: queue.clear_bell("BTC-USD"),
    "publish": lambda: publish([Message("a", "b", {})]),
    "redeem": redeem,
    "stats": stats,
    "count": lambda: SharedWindow().hit("somebody", 10),
}


def first_wait(server: Server, name: str, how: str) -> float:
    """What the first call of an outage waits. A busy machine adds to it: tried again, a second timeout would stay."""
    for attempt in range(3):
        take_away(server, how)
        waited = seconds(CALLS[name])
        if waited < ONCE_SECONDS or attempt == 2:
            return waited
        bring_back(server)
        wait_for(lambda: breaker().is_open, lambda is_open: not is_open, seconds=5)
        CALLS[name]()
    raise AssertionError("the last attempt returns")


@OUTAGES
@pytest.mark.parametrize("name", CALLS)
def test_an_outage_costs_one_timeout(server: Server, name: str, how: str) -> None:
    CALLS[name]()
    assert first_wait(server, name, how) < ONCE_SECONDS
    assert seconds(CALLS[name], times=50) < TIMEOUT_SECONDS, "none of them waited"
    assert sum(seconds(call) for call in CALLS.values()) < TIMEOUT_SECONDS, "whoever asks, it is the same server"


@OUTAGES
def test_a_process_that_begins_during_an_outage(server: Server, how: str) -> None:
    """There is no connection yet that could break."""
    take_away(server, how)
    assert seconds(CALLS["ring"]) < ONCE_SECONDS
    assert seconds(CALLS["ring"], times=50) < TIMEOUT_SECONDS, "none of them waited"


@OUTAGES
def test_it_is_logged_once_each_way_and_over_soon(server: Server, how: str, caplog: pytest.LogCaptureFixture) -> None:
    CALLS["publish"]()
    for _ in range(2):
        caplog.clear()
        take_away(server, how)
        for call in CALLS.values():
            seconds(call, times=20)
        time.sleep(2)
        bring_back(server)
        wait_for(lambda: breaker().is_open, lambda is_open: not is_open, seconds=RECOVERY_SECONDS)
        assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
        assert "does not answer" in caplog.messages[0]
        assert "answers again" in caplog.messages[1]
        queue.clear_bell("BTC-USD")
        queue.ring_now("BTC-USD")
        with Redis(port=server.port) as redis:
            assert redis.llen("orders.BTC-USD") == 1
            redis.flushall()


def test_threads_wait_at_the_same_time_and_not_in_line(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: CALLS["redeem"](), range(16)))
        take_away(server, "frozen")
        took = list(pool.map(lambda _: seconds(CALLS["redeem"]), range(16)))
    # In line they would take four seconds.
    assert max(took) < 4 * TIMEOUT_SECONDS
    assert len(caplog.records) == 1


def test_a_broker_that_is_away_leaves_no_flag(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flag would suppress the first bell after the broker is back."""
    monkeypatch.setattr(queue, "current_app", celery_app("redis://127.0.0.1:1/0"))
    queue.ring_now("BTC-USD")
    queue.clear_bell("BTC-USD")
    queue.ring_now("BTC-USD")
    assert queue._is_first("BTC-USD")


@pytest.mark.parametrize("fault", ["replica", "full"])
def test_a_server_that_takes_no_writes_is_away(server: Server, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    with Redis(port=server.port) as redis:
        redis.replicaof("127.0.0.1", "1") if fault == "replica" else redis.config_set("maxmemory", 1)
        for _ in range(50):
            queue.ring_now("BTC-USD")
        time.sleep(0.5)
        queue.clear_bell("BTC-USD")
        assert breaker().is_open
        assert len(caplog.records) == 1
        redis.replicaof("NO", "ONE") if fault == "replica" else redis.config_set("maxmemory", 0)
        wait_for(lambda: breaker().is_open, lambda is_open: not is_open, seconds=RECOVERY_SECONDS)


def test_a_defect_and_a_refusal_open_nothing(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with Redis(port=server.port, db=0) as redis:
        redis.set("orders.BTC-USD", "not a list")
        queue.ring_now("BTC-USD")
    assert "not rung" in caplog.messages[-1]
    with pytest.raises(TypeError), breaker().calling():
        raise TypeError
    assert not breaker().is_open


@OUTAGES
def test_another_broker_than_redis(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if how == "frozen":
            silent.listen()
        url = f"amqp://guest:secret@127.0.0.1:{silent.getsockname()[1]}//"
        monkeypatch.setattr(queue, "current_app", celery_app(url))
        assert seconds(CALLS["ring"]) < ONCE_SECONDS
        assert seconds(CALLS["ring"], times=50) < TIMEOUT_SECONDS, "none of them waited"
        assert "secret" not in breaker_of(url).server
        with pytest.raises(OperationalError, match=r"refused|timed out"):
            ask(url)


def test_a_forked_process_begins_anew(server: Server) -> None:
    """The thread that would close the breaker is not there."""
    take_away(server, "dead")
    CALLS["silence"]()
    assert breaker().is_open
    with warnings.catch_warnings():
        # Python 3.12 warns of every fork beside threads; this child only looks.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os._exit(int(breaker().is_open))
    assert os.waitpid(child, 0)[1] == 0


@OUTAGES
def test_orders_are_placed_and_cancelled_in_an_outage(transactional_db: None, server: Server, how: str) -> None:
    world = World.make()
    assert world.place(world.alice, "buy 1 @ 100").status_code == 202
    take_away(server, how)
    placed = [timed_order(world, number) for number in range(20)]
    assert placed[0][1] < ONCE_SECONDS + SLACK_SECONDS
    # One may stand still for a reason of its own: other tests share the machine.
    assert sorted(took for _, took in placed[1:])[-2] < TIMEOUT_SECONDS
    for order_id, _ in placed:
        assert world.alice.call("DELETE", f"/orders/{order_id}").status_code == 202
    world.match()
    assert world.alice.holds("USD") == "9900 100"


def timed_order(world: World, number: int) -> tuple[int, float]:
    began = time.monotonic()
    answer = world.place(world.alice, f"buy 1 @ {number + 1}")
    assert answer.status_code == 202
    return answer.body["data"]["orderId"], time.monotonic() - began


@OUTAGES
def test_nobody_is_told_of_an_outage(transactional_db: None, server: Server, how: str) -> None:
    world = World.make()
    order = world.play(world.alice, "buy 1 @ 100", clientOrderId="k")
    values = {"symbol": world.symbol, "orderId": order["orderId"], "clientOrderId": "k", "currency": "USD"}
    values["userId"] = world.staff.user.id
    take_away(server, how)
    forget_breakers()
    told = {}
    for path in {each.path for each in served()}:
        if path.startswith("/api/v1/"):
            for gap, value in values.items():
                path = path.replace(f"{{{gap}}}", str(value))  # noqa: PLW2901
            told[path] = world.staff.call("GET", path.removeprefix("/api/v1")).status_code
    assert len(told) > 20
    assert {path: status for path, status in told.items() if status >= 500} == {}
    assert told["/api/v1/stream/order-status/stats"] == 200
    ticket = world.alice.call("POST", "/stream/tickets")
    assert ticket.status_code == 201
    assert redeem_ticket(ticket.body["data"]["ticket"]).credential == Credential(world.alice.user.id)
    assert redeem_ticket(ticket.body["data"]["ticket"]) is None
    assert world.alice.call("DELETE", "/orders").status_code == 202
