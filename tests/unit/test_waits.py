"""Who was told to wait is refused until then without a count, and nobody else is."""

import random
from types import SimpleNamespace
from typing import Any

import pytest

from base.servers.waiting import Head, read_head, refusal_of, sender_of
from base.web.errors import TooManyRequests
from base.web.exposure import exposing_headers
from base.web.ratelimit import meter
from base.web.ratelimit.meter import Meter
from base.web.ratelimit.waits import Waits
from base.web.ratelimit.windows import LocalWindow

ORDERS = ("POST", "/api/v1/orders")
BATCH = ("POST", "/api/v1/orders/batch")
HOME, ELSEWHERE = "192.0.2.1", "192.0.2.2"
ALICE: Any = SimpleNamespace(pk=1, rate_limit=None)


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Clock:
    """Ten requests a second, one sign-in."""
    clock = Clock()
    monkeypatch.setattr(meter, "_window", LocalWindow(clock))
    monkeypatch.setattr(meter, "_waits", Waits(clock))
    settings.RATE_LIMIT, settings.ACCOUNT_LIMITS = 10, {"sign-ins": 1}
    settings.TRUSTED_PROXIES = 0
    return clock


def counted(call: tuple[str, str], caller: Any, credential: str, times: int = 11, cost: int = 1) -> None:
    """The requests as they are counted behind the servers; the last one is refused."""
    for _ in range(times):
        counting = Meter(*call, HOME, "")
        try:
            counting.count(caller)
            counting.weigh(cost)
        except TooManyRequests:
            counting.remember(credential)


def is_refused(call: tuple[str, str], credential: str = "", peer: str = HOME) -> bool:
    fields = {"authorization": credential} if credential else {}
    return refusal_of(Head(*call, fields), peer) is not None


def test_a_token_that_was_refused_is_refused_wherever_it_comes_from_until_the_time_is_over(clock: Clock) -> None:
    counted(ORDERS, ALICE, "Bearer a")
    assert is_refused(ORDERS, "Bearer a", ELSEWHERE)
    assert is_refused(("GET", "/api/v1/orders/5"), "Bearer a"), "it is one bucket"
    assert not is_refused(ORDERS, "Bearer b") and not is_refused(ORDERS)
    clock.seconds = 0.999
    assert is_refused(ORDERS, "Bearer a")
    clock.seconds = 1.0
    assert not is_refused(ORDERS, "Bearer a")


@pytest.mark.parametrize(
    "call",
    [
        ("DELETE", "/api/v1/orders/5"),
        ("POST", "/api/v1/users/5/kill"),
        ("PATCH", "/api/v1/markets/BTC-USD"),
        ("OPTIONS", "/api/v1/orders"),
        ("GET", "/health/live"),
    ],
)
def test_other_buckets_and_emergency_acts_are_looked_at(clock: Clock, call: tuple[str, str]) -> None:
    counted(ORDERS, ALICE, "Bearer a")
    assert not is_refused(call, "Bearer a")


def test_a_cancel_of_all_orders_is_looked_at_whatever_was_sent(clock: Clock) -> None:
    counted(("DELETE", "/api/v1/orders/5"), ALICE, "Bearer a")
    assert is_refused(("DELETE", "/api/v1/orders/6"), "Bearer a")
    assert not is_refused(("DELETE", "/api/v1/orders"), "Bearer a")
    fields = {"authorization": "Bearer a"}
    senders = [sender_of(Head("DELETE", path, fields), HOME) for path in ("/api/v1/orders", "/api/v1/orders/6")]
    assert senders == ["", "Bearer a"], "nor is it put behind others"


@pytest.mark.parametrize(("path", "header"), [("/api/v1/orders", "x-api-key"), ("/api/v3/order", "x-mbx-apikey")])
def test_whoever_knows_the_name_of_a_key_puts_nobody_behind(path: str, header: str) -> None:
    flood, owner = (sender_of(Head("POST", path, {header: "k"}), peer) for peer in (HOME, ELSEWHERE))
    assert flood != owner
    assert sender_of(Head("POST", path, {header: "other"}), HOME) != flood


def test_a_token_that_is_no_good_is_refused_at_its_address_alone(clock: Clock) -> None:
    counted(ORDERS, None, "Bearer bad")
    assert is_refused(ORDERS, "Bearer bad")
    assert not is_refused(ORDERS, "Bearer bad", ELSEWHERE)
    assert not is_refused(ORDERS, "Bearer good"), "the address's other users"


def test_what_concerns_accounts_is_refused_by_address_whatever_token_is_sent(clock: Clock) -> None:
    sign_in = ("POST", "/api/v1/auth/token")
    counted(sign_in, ALICE, "Bearer a")
    assert is_refused(sign_in) and is_refused(sign_in, "Bearer b")
    assert not is_refused(sign_in, "Bearer a", ELSEWHERE)
    assert not is_refused(ORDERS, "Bearer a")


def test_what_was_too_heavy_holds_up_nothing_else(clock: Clock) -> None:
    """One request is left: enough for an order, and not for a large batch."""
    counted(ORDERS, ALICE, "Bearer a", times=9)
    counted(BATCH, ALICE, "Bearer a", times=1, cost=10)
    assert is_refused(BATCH, "Bearer a")
    assert not is_refused(ORDERS, "Bearer a")


def test_the_refusal_tells_what_is_left_of_the_time(clock: Clock) -> None:
    counted(ORDERS, ALICE, "Bearer a")
    clock.seconds = 0.75
    refusal = refusal_of(Head(*ORDERS, {"authorization": "Bearer a"}), HOME)
    assert refusal is not None
    assert refusal.error.data == {"limit": 10, "bucket": "requests", "retryAfterMs": 250}
    assert refusal.headers["X-RateLimit-Remaining"] == "0"


HEAD = (
    b"DELETE /api/v1/%6Frders/5?x=/a HTTP/1.1\r\nhost: x\r\nAUTHORIZATION:\t Bearer a \r\nX-Forwarded-For: 1.2.3.4\r\n"
)


def test_a_head_is_read_as_the_server_reads_it() -> None:
    head = read_head(HEAD + b"x-forwarded-for: 5.6.7.8\r\nx_api_key: k\r\nConnection: keep-alive")
    fields = {"authorization": "Bearer a", "x-forwarded-for": "1.2.3.4,5.6.7.8", "connection": "keep-alive"}
    assert head == Head("DELETE", "/api/v1/orders/5", fields, is_kept=True)
    assert sender_of(head, HOME) == "Bearer a"


@pytest.mark.parametrize("line", [b"GET http://x/api/v1/time HTTP/1.1", b"GET /api/v1/time", b"", b"\xff\xfe"])
def test_what_is_no_plain_request_is_left_to_the_server(line: bytes) -> None:
    assert read_head(line + b"\r\nHost: x") is None


@pytest.mark.parametrize("text", [b"GET / HTTP/1.0\r\nHost: x", b"GET / HTTP/1.1\r\nConnection: Close"])
def test_a_connection_ends_where_its_client_says_so(text: bytes) -> None:
    head = read_head(text)
    assert head is not None and not head.is_kept


def test_nothing_that_is_sent_breaks_the_servers_loop(clock: Clock) -> None:
    """gunicorn's process would end with it."""
    dice = random.Random(1)
    pieces = [
        b"GET /",
        b"DELETE /api/v1/",
        b"%",
        b"%00",
        b"%ff%fe",
        b"\x00",
        b"\xff",
        b" HTTP/1.1\r\n",
        b":",
        b",",
        b"[",
    ]
    pieces += [b"Authorization: ", b"X-Forwarded-For: ", b"Origin: ", b"orders", b"//", b"?", b"\r\n", b"x" * 300]
    peers = ("", HOME, "::1", "nobody")
    for _ in range(2000):
        head = read_head(b"".join(dice.choices(pieces, k=dice.randint(1, 12))))
        peer = dice.choice(peers)
        assert sender_of(head, peer) is not None
        if head is not None:
            counted((head.method, head.path), None, head.fields.get("authorization", ""), times=1, cost=99)
            refusal_of(head, peer)
            exposing_headers(head.path, "GET", head.fields.get("origin"))
