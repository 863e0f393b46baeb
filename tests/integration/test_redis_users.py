"""Each process is a user of its own in Redis, by the file of users that is deployed, and may do its own work alone."""

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.test import override_settings
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from base.streams.messages import REDIS_CHANNEL
from base.web.ratelimit.pauses import SharedPauses
from tests.support.live import Live, Trader, wait_for
from tests.support.redis_users import START, denied, password, variables
from tests.support.world import outcome
from tests.unit.test_pauses import keys
from tools.rig.binaries import redis_binary
from tools.rig.exchange import CELERY, Program, rest
from tools.rig.process import HOST, ROOT, Process
from tools.rig.servers import free_port

pytestmark = pytest.mark.skipif(not settings.IS_REDIS_BROKER, reason="the queues are in Redis")

PROCESSES = ("web", "stream", "worker", "beat", "flower")
# Of the workers alone: who publishes forges events, who takes from a queue keeps bells, who writes the feed forges it.
OF_WORKERS = (
    ("PUBLISH", REDIS_CHANNEL, "[]"),
    ("BRPOP", "orders.BTC-USD", 1),
    ("LPOP", "orders.BTC-USD"),
    ("LRANGE", "orders.BTC-USD", 0, -1),
    ("DEL", "orders.BTC-USD"),
    ("XADD", "feed:trades:BTC-USD", "*", "a", "b"),
    ("HSET", "unacked", "a", "b"),
    ("EVAL", "return redis.call('PUBLISH', 'events_channel', '[]')", 0),
    ("EVAL", "return redis.call('RPOP', 'orders.BTC-USD')", 0),
)
OF_NOBODY = (
    ("FLUSHALL",),
    ("KEYS", "*"),
    ("SCAN", 0),
    ("CONFIG", "GET", "*"),
    ("CONFIG", "SET", "dir", "/tmp"),
    ("ACL", "LIST"),
    ("MONITOR",),
    ("SHUTDOWN",),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("REPLICAOF", "NO", "ONE"),
    ("SET", "anything", 1),
    ("GET", "anything"),
)
OWN = {
    # Nobody but the streams hears events, and those who count requests are alone with the counts and the tickets.
    "web": (("SUBSCRIBE", REDIS_CHANNEL),),
    "stream": (("LPUSH", "orders", "x"), ("PUBLISH", "/0.celery.pidbox", "x"), ("SUBSCRIBE", "/0.celery.pidbox")),
    "worker": (("SUBSCRIBE", REDIS_CHANNEL), ("DEL", "exchange:rate:a"), ("SET", "exchange:1:stream-ticket:a", 1)),
    "beat": (("LPUSH", "orders.BTC-USD", "x"), ("GET", "exchange:1:bell:BTC-USD"), ("EVAL", "return 1", 0)),
    "flower": (("LPUSH", "orders.BTC-USD", "x"), ("LPUSH", "orders", "x"), ("SUBSCRIBE", REDIS_CHANNEL)),
    "exporter": (("GET", "exchange:probe"), ("LLEN", "orders"), ("PUBLISH", REDIS_CHANNEL, "[]")),
    "feed": (("GET", "exchange:probe"), ("XADD", "feed:a", "*", "a", "b"), ("SUBSCRIBE", REDIS_CHANNEL)),
}


@pytest.fixture
def port(exchange: Live) -> Iterator[int]:
    """What is refused on purpose is not left in the server's log, where it would be taken for a process's."""
    assert denied(exchange.redis.port) == []
    yield exchange.redis.port
    with Redis(port=exchange.redis.port) as redis:
        redis.acl_log_reset()


def is_refused(redis: "Redis", command: tuple[Any, ...]) -> bool:
    try:
        redis.execute_command(*command)
    except NoPermissionError:
        return True
    except Exception as error:
        # A script is refused in its own words.
        return "ACL failure" in str(error) or "NOPERM" in str(error)
    return False


def test_the_road_of_an_order_needs_no_more_than_the_users_may(exchange: Live) -> None:
    symbol, bob = exchange.market(), exchange.trader("bob", BTC="5")
    with exchange.stream(bob) as stream:
        [_] = stream.take(1)
        assert outcome(bob.played(symbol, "sell 1 @ 100")) == "1 open +"
        assert outcome(exchange.trader("alice", USD="500").played(symbol, "buy 1 @ 100")) == "0 filled"
        assert [event.data["status"] for event in stream.take(2)] == ["OPEN", "FILLED"]
    with Redis(port=exchange.redis.port, decode_responses=True) as redis:
        assert {client["user"] for client in redis.client_list()} >= {"stream", "worker"}, "each has signed in"
    assert denied(exchange.redis.port) == []


@pytest.mark.parametrize("user", [*PROCESSES, "exporter", "feed"])
def test_a_user_of_redis_may_do_its_own_work_alone(port: int, user: str) -> None:
    refused = (*OF_NOBODY, *OWN[user], *(() if user == "worker" else OF_WORKERS))
    with Redis(port=port, username=user, password=password(user)) as redis:
        assert redis.ping()
        assert [command for command in refused if not is_refused(redis, command)] == []


def test_rest_counts_wrong_passwords(port: int) -> None:
    pauses, each = SharedPauses(), keys("alice", "192.0.2.1")
    with override_settings(REDIS_URL=f"redis://web:{password('web')}@127.0.0.1:{port}/1"):
        verdict = pauses.begin(each, (1, 1, 1), 900)
        assert not pauses.begin(each, (1, 1, 1), 900).is_let_in
        pauses.take_back(each, verdict, is_right=True)
        assert pauses.begin(each, (1, 1, 1), 900).counted == 2, "known from now on"
        assert pauses.lift(each.name)
    assert denied(port) == []


def test_rest_and_streams_differ_in_what_they_hear_and_who_is_connected() -> None:
    rules = dict(
        re.findall(r"^user (\w+) ((?:.+\n)(?: +.+\n)*)", START.with_name("users.acl").read_text(), re.MULTILINE)
    )
    only = {"+subscribe", "+unsubscribe", "&events_channel"}
    assert set(rules["stream"].split()) - set(rules["web"].split()) == only
    assert set(rules["web"].split()) <= set(rules["stream"].split())


@pytest.mark.long
def test_gunicorn_and_flower_need_no_more_than_their_users_may(exchange: Live) -> None:
    port, flower_port = free_port(), free_port()
    options = (f"--address={HOST}", f"--port={flower_port}", f"--conf={ROOT / 'deploy' / 'flower.conf.py'}")
    secret = secrets.token_hex(8)

    def asked(path: str) -> str:
        try:
            return httpx.get(f"http://{HOST}:{flower_port}{path}", auth=("me", secret), trust_env=False).text
        except httpx.TransportError:
            return ""

    flower = Program("flower", (*CELERY, "flower", *options), 5, lambda _: "worker@" in asked("/api/workers?refresh=1"))
    web = exchange.launch(Program("rest", rest(port).arguments, 15, rest(port).is_ready))
    watcher = exchange.launch(flower, FLOWER_BASIC_AUTH=f"me:{secret}")
    try:
        web.wait_until_ready()
        watcher.wait_until_ready()
        symbol, bob = exchange.market(), exchange.trader("bob", BTC="5")
        here = Trader.with_token(f"http://{HOST}:{port}", bob.user_id, bob.username, bob.token)
        assert outcome(here.played(symbol, "sell 1 @ 100")) == "1 open +"
        here.get(f"/orderbook/{symbol}")
        assert here.call("POST", "/stream/tickets").status_code == 201
        # Flower asks the workers for their queues when it is told to.
        wait_for(lambda: asked("/api/workers?refresh=1") and f"orders.{symbol}" in asked("/api/queues/length"))
        assert "matching.match" in wait_for(lambda: asked("/api/tasks"), lambda text: symbol in text)
    finally:
        for process in (exchange.processes.pop("rest"), exchange.processes.pop("flower")):
            process.stop()
    assert denied(exchange.redis.port) == []


def test_nobody_gets_in_without_a_password_and_none_is_on_the_command_line(tmp_path: Path) -> None:
    """The script that production starts Redis by, without the exception that the other tests make."""
    port, users = free_port(), tmp_path / "users.acl"
    server = (redis_binary(), "--port", str(port), "--aclfile", str(users), "--dir", str(tmp_path), "--save", "")
    environment = {"PATH": os.environ["PATH"], **variables()}
    del environment["REDIS_FEED_PASSWORD"]

    def user(name: str) -> "Redis":
        return Redis(port=port, username=name, password=password(name))

    def answers(process: Process) -> bool:
        return process.has_logged("Ready to accept connections")

    with Process("redis", ("sh", str(START), str(users), *server), tmp_path / "log", environment, answers) as redis:
        redis.start()
        with pytest.raises(AuthenticationError), Redis(port=port) as anybody:
            anybody.ping()
        with pytest.raises(AuthenticationError), user("feed") as feed:
            feed.ping()
        with user("exporter") as exporter, user("operator") as operator:
            assert exporter.ping()
            assert len(operator.acl_users()) == len(variables())
        shown = subprocess.run(["ps", "eww", "-p", str(redis.pid)], capture_output=True, text=True, check=True)
        assert "redis" in shown.stdout or "valkey" in shown.stdout
        assert "the-password" not in shown.stdout + users.read_text()
        assert users.stat().st_mode & 0o077 == 0
