"""Requests signed by an API key: whom they are let in for, and what an attacker might try."""

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from base.storage.breakers import forget_breakers
from base.storage.redis import redis_client
from base.streams import signin
from base.streams.request import StreamRequest
from base.web.errors import Unavailable
from base.web.keys import once, use
from base.web.keys.known import forget_keys, known_key
from base.web.keys.use import forget_uses
from base.web.ratelimit import meter
from base.web.ratelimit.meter import Meter
from base.web.ratelimit.windows import LocalWindow
from exchange.socket import PATH as SOCKET_PATH
from orders.models import Order
from tests.support.signing import API, Signer, now_ms, told
from tests.support.tape import parse
from tests.support.world import World, stored_rows
from users.api_key import ApiKey
from users.models import User

AWAY = "redis://127.0.0.1:1/1"
ORDER = parse("buy 1 @ 100").body("BTC-USD")


@pytest.fixture
def trader(world: World) -> Signer:
    """Alice's key, which may do all that a key may."""
    return Signer.of(world.alice, "read", "trade")


@pytest.mark.dialect
@pytest.mark.parametrize("algorithm", ["HMAC", "ED25519"])
def test_a_key_trades_for_its_owner(world: World, algorithm: str) -> None:
    key = Signer.of(world.alice, "read", "trade", algorithm=algorithm)
    placed = key.call("POST", "/orders", ORDER)
    assert placed.status_code == 202
    order_id = placed.body["data"]["orderId"]
    assert key.call("GET", f"/orders/{order_id}").body["data"]["userId"] == world.alice.user.id
    assert key.told("GET", "/orders?symbol=BTC-USD&limit=5") == "200"
    assert key.told("DELETE", f"/orders/{order_id}") == "202"
    assert key.told("GET", "/time") == "200"


def test_a_scope_is_needed_and_neither_has_the_other(world: World) -> None:
    reader, writer = Signer.of(world.alice, "read"), Signer.of(world.alice, "trade")
    assert reader.told("POST", "/orders", ORDER) == "403 SCOPE_REQUIRED"
    assert reader.told("DELETE", "/orders") == "403 SCOPE_REQUIRED"
    assert writer.told("POST", "/orders", ORDER) == "202"
    refused = writer.call("GET", "/orders")
    assert (told(refused), refused.body["data"]) == ("403 SCOPE_REQUIRED", {"scope": "read"})
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/keys", {"label": "more", "scopes": ["read"]}),
        ("GET", "/keys", None),
        ("DELETE", "/keys/" + "0" * 32, None),
        ("PATCH", "/users/me", {"email": "eve@example.com"}),
        ("DELETE", "/users/me", {"password": "x"}),
        ("POST", "/users/me/password", {"currentPassword": "x", "newPassword": "a new password"}),
        ("POST", "/auth/logout", {"everywhere": True}),
        ("POST", "/stream/tickets", None),
        ("GET", "/users/{bob}", None),
        ("GET", "/balances/{bob}", None),
        ("GET", "/orders?userId={bob}", None),
        ("POST", "/orders", {**ORDER, "userId": "{bob}"}),
        ("POST", "/users/{bob}/kill", {"reason": "x"}),
        ("GET", "/users/{bob}/limits", None),
        ("POST", "/balances/update", {}),
        ("PATCH", "/markets/BTC-USD", {"status": "HALTED"}),
        ("GET", "/cache/stats", None),
        ("GET", "/stream/order-status/stats", None),
    ],
    ids=str,
)
def test_what_a_key_may_never_do_even_of_a_superuser(world: World, method: str, path: str, body: Any) -> None:
    User.objects.filter(id=world.alice.user.id).update(is_staff=True, is_superuser=True)
    key = Signer.of(world.alice, "read", "trade")
    if body is not None and "userId" in body:
        body = {**body, "userId": world.bob.user.id}
    before = stored_rows()
    answer = key.call(method, path.replace("{bob}", str(world.bob.user.id)), body)
    assert answer.status_code in (403, 404), answer.body
    assert answer.body["error"] in ("SCOPE_REQUIRED", "STAFF_ONLY", "NOT_YOUR_ACCOUNT", "USER_NOT_FOUND")
    assert stored_rows() == before
    world.alice.user.refresh_from_db()
    assert world.alice.user.stamp == ""


@pytest.mark.parametrize("change", ["secret", "method", "path", "order", "query", "timestamp", "body", "algorithm"])
def test_what_was_altered_after_it_was_signed(world: World, trader: Signer, change: str) -> None:
    target, body, stamp = f"{API}/orders?side=BUY&limit=5", b'{"a": 1}', now_ms()
    signed = trader.headers("GET", target, body, stamp)
    altered = {
        "secret": ("GET", "/orders?side=BUY&limit=5", body, trader.with_secret("0" * 64).headers("GET", target, body)),
        "method": ("DELETE", "/orders?side=BUY&limit=5", body, signed),
        "path": ("GET", "/fills?side=BUY&limit=5", body, signed),
        "order": ("GET", "/orders?limit=5&side=BUY", body, signed),
        "query": ("GET", "/orders?side=BUY&limit=6", body, signed),
        "timestamp": ("GET", "/orders?side=BUY&limit=5", body, signed | {"X-Timestamp": str(int(stamp) + 1)}),
        "body": ("GET", "/orders?side=BUY&limit=5", b'{"a": 2}', signed),
        "algorithm": (
            "GET",
            "/orders?side=BUY&limit=5",
            body,
            signed | {"X-Signature": base64.b64encode(bytes.fromhex(signed["X-Signature"])).decode()},
        ),
    }[change]
    assert told(trader.send(*altered)) == "401 SIGNATURE_INVALID"
    assert told(trader.send("GET", "/orders?side=BUY&limit=5", body, signed)) == "200", "as it was signed"


def test_a_query_does_not_become_a_body(world: World, trader: Signer) -> None:
    """Nothing stands between the signed parts: a cancel of one market must not become a cancel of all."""
    signed = trader.headers("DELETE", f"{API}/orders?symbol=BTC-USD")
    assert told(trader.send("DELETE", "/orders", b"?symbol=BTC-USD", signed)) == "401 SIGNATURE_INVALID"
    braces = trader.headers("DELETE", f"{API}/orders?symbol=", b'{"a":1}')
    assert told(trader.send("DELETE", '/orders?symbol={"a":1}', b"", braces)) == "401 SIGNATURE_INVALID"
    assert told(trader.send("DELETE", "/orders?symbol=BTC-USD", b"", signed)) == "202"


@pytest.mark.parametrize(
    ("name", "value", "outcome"),
    [
        ("X-API-Key", "", "401 KEY_UNKNOWN"),
        ("X-API-Key", "0" * 32, "401 KEY_UNKNOWN"),
        ("X-API-Key", "x" * 60_000, "401 KEY_UNKNOWN"),
        ("X-API-Key", "{key},{key}", "401 KEY_UNKNOWN"),
        ("X-API-Key", "é" * 32, "401 KEY_UNKNOWN"),
        ("X-Signature", "", "401 SIGNATURE_INVALID"),
        ("X-Signature", "{signature},{signature}", "401 SIGNATURE_INVALID"),
        ("X-Signature", "é" * 64, "401 SIGNATURE_INVALID"),
        ("X-Signature", "0" * 60_000, "401 SIGNATURE_INVALID"),
        ("X-Signature", "0" * 64, "401 SIGNATURE_INVALID"),
        ("X-Timestamp", "", "401 TIMESTAMP_OUT_OF_WINDOW"),
        ("X-Timestamp", "soon", "401 TIMESTAMP_OUT_OF_WINDOW"),
        ("X-Timestamp", "{seconds}", "401 TIMESTAMP_OUT_OF_WINDOW"),
        ("X-Timestamp", "-1", "401 TIMESTAMP_OUT_OF_WINDOW"),
        ("X-Timestamp", "9" * 5_000, "401 TIMESTAMP_OUT_OF_WINDOW"),
        ("X-Timestamp", "{now},{now}", "401 TIMESTAMP_OUT_OF_WINDOW"),
        ("X-Timestamp", "\u0661" * 13, "401 TIMESTAMP_OUT_OF_WINDOW"),
        ("X-Recv-Window", "-5000", "401 TIMESTAMP_OUT_OF_WINDOW"),
        ("X-Recv-Window", "0", "401 TIMESTAMP_OUT_OF_WINDOW"),
        ("X-Recv-Window", "60001", "401 TIMESTAMP_OUT_OF_WINDOW"),
        ("X-Recv-Window", "5e3", "401 TIMESTAMP_OUT_OF_WINDOW"),
        ("X-Recv-Window", "60000", "200"),
        ("Authorization", "Bearer x.y.z", "401 NOT_AUTHENTICATED"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_headers_as_nobody_should_send_them(trader: Signer, name: str, value: str, outcome: str) -> None:
    headers = trader.headers("GET", f"{API}/orders")
    known = {"key": trader.key_id, "signature": headers["X-Signature"], "seconds": str(int(time.time()))}
    # As a server hands on the bytes that it received.
    sent = value.format(**known, now=now_ms()).encode().decode("latin-1")
    assert told(trader.send("GET", "/orders", b"", headers | {name: sent})) == outcome


@pytest.mark.parametrize(
    ("ahead", "window", "outcome"),
    [
        (-4_000, None, "200"),
        (-6_000, None, "401 TIMESTAMP_OUT_OF_WINDOW"),
        (-50_000, "60000", "200"),
        (-61_000, "60000", "401 TIMESTAMP_OUT_OF_WINDOW"),
        (3_000, None, "200"),
        (6_000, None, "401 TIMESTAMP_OUT_OF_WINDOW"),
        (6_000, "60000", "401 TIMESTAMP_OUT_OF_WINDOW"),
        (3_000, "1000", "401 TIMESTAMP_OUT_OF_WINDOW"),
    ],
)
def test_clocks_that_do_not_agree(trader: Signer, ahead: int, window: str | None, outcome: str) -> None:
    more = {} if window is None else {"X_Recv_Window": window}
    refused = trader.call("GET", "/orders", timestamp=now_ms(ahead), **more)
    assert told(refused) == outcome
    if outcome != "200":
        assert abs(refused.body["data"]["serverTime"] - time.time() * 1000) < 5_000, "so that a client sets its clock"


def test_a_signature_is_good_once(world: World, trader: Signer) -> None:
    body = b'{"symbol": "BTC-USD", "side": "BUY", "type": "LIMIT", "price": "100", "quantity": "1"}'
    signed = trader.headers("POST", f"{API}/orders", body)
    assert told(trader.send("POST", "/orders", body, signed)) == "202"
    again = [
        signed,
        signed | {"X-Signature": signed["X-Signature"].upper()},
        signed | {"X-Recv-Window": "60000"},
    ]
    assert {told(trader.send("POST", "/orders", body, headers)) for headers in again} == {"401 SIGNATURE_REPLAYED"}
    once._here.clear()
    assert told(trader.send("POST", "/orders", body, signed)) == "401 SIGNATURE_REPLAYED", "in another process"
    assert Order.objects.count() == 1


@pytest.mark.dialect
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_away", [False, True], ids=["", "Redis away"])
def test_of_two_that_come_at_the_same_moment_one_gets_in(is_away: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.make()
    trader = Signer.of(world.alice, "read", "trade")
    if not is_away:
        # As in processes that share nothing but Redis.
        monkeypatch.setattr(once, "_here", _Nothing())
    barrier = threading.Barrier(4)

    def send(signed: dict[str, str]) -> str:
        try:
            barrier.wait(10)
            return told(Signer(trader.key_id).send("DELETE", "/orders", b"", signed))
        finally:
            connection.close()

    with override_settings(REDIS_URL=AWAY if is_away else settings.REDIS_URL), ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            signed = trader.headers("DELETE", f"{API}/orders")
            answers = sorted(pool.map(send, [signed] * 4))
            assert answers == ["202"] + ["401 SIGNATURE_REPLAYED"] * 3


class _Nothing(dict[str, bool]):
    def __setitem__(self, *_: object) -> None:
        pass


def test_without_redis_nothing_is_placed_twice(world: World, trader: Signer) -> None:
    before = stored_rows()
    with override_settings(REDIS_URL=AWAY):
        forget_breakers()
        refused = trader.call("POST", "/orders", ORDER)
        assert told(refused) == "503 UNAVAILABLE"
        assert refused["Retry-After"] == "1"
        assert stored_rows() == before
        assert trader.told("GET", "/orders") == "200"
        signed = trader.headers("DELETE", f"{API}/orders")
        answers = [told(trader.send("DELETE", "/orders", b"", signed)) for _ in range(2)]
    assert answers == ["202", "401 SIGNATURE_REPLAYED"]
    assert trader.told("POST", "/orders", ORDER) == "202"


@pytest.mark.parametrize(("scopes", "lets_in"), [(["read"], True), (["trade"], False), (["read", "trade"], False)])
def test_without_redis_no_signature_opens_a_socket_that_trades(world: World, scopes: list[str], lets_in: bool) -> None:
    """Who repeats it in another process could place orders over a socket of their own."""
    key = Signer.of(world.alice, *scopes)
    opened = StreamRequest("GET", {}, {}, [], Meter("GET", SOCKET_PATH, "127.0.0.1", ""), SOCKET_PATH.encode())

    def sign_in() -> int:
        signed = {name.lower(): value for name, value in key.headers("GET", SOCKET_PATH).items()}
        return signin.sign_in(opened.signing(key=signed))[0].id

    with override_settings(REDIS_URL=AWAY):
        forget_breakers()
        if lets_in:
            assert sign_in() == world.alice.user.id
        else:
            with pytest.raises(Unavailable):
                sign_in()
    assert sign_in() == world.alice.user.id


def test_a_redis_that_forgot_lets_nothing_be_placed_twice(world: World, trader: Signer) -> None:
    body = b'{"symbol": "BTC-USD", "side": "BUY", "type": "LIMIT", "price": "100", "quantity": "1"}'
    signed = trader.headers("POST", f"{API}/orders", body)
    assert told(trader.send("POST", "/orders", body, signed)) == "202"
    # A Redis that started anew and empty, and another process, which read the key after that.
    client = redis_client(settings.REDIS_URL)
    client.delete(*client.scan_iter(f"{once._PREFIX}*"))
    once._here.clear()
    forget_keys(world.alice.user.id)
    assert told(trader.send("POST", "/orders", body, signed)) == "503 UNAVAILABLE"
    assert trader.told("GET", "/orders") == "200"
    assert told(_placed_later(trader, now_ms(-11_000))) == "202"


def _placed_later(trader: Signer, lost: str) -> Any:
    """An order when Redis has lost its memory at that time by its own clock, a while ago."""
    client = redis_client(settings.REDIS_URL)
    client.set(f"{once._PREFIX}key:{ApiKey.objects.get().pk}", f"{client.info('server')['run_id']} {lost}")
    return trader.call("POST", "/orders", ORDER)


def test_a_redis_that_forgot_the_last_second_lets_nothing_be_placed_twice(world: World, trader: Signer) -> None:
    """As one does whose host lost its power, or a replica that takes over: most of what it knew is there."""
    body = json.dumps(ORDER).encode()
    signed = trader.headers("POST", f"{API}/orders", body)
    assert told(trader.send("POST", "/orders", body, signed)) == "202"
    client, of_key = redis_client(settings.REDIS_URL), f"{once._PREFIX}key:{ApiKey.objects.get().pk}"
    for key in client.scan_iter(f"{once._PREFIX}*"):
        if key != of_key.encode():
            client.delete(key)
    client.set(of_key, "anotherrun 0")
    once._here.clear()
    for _ in range(2):
        assert told(trader.send("POST", "/orders", body, signed)) == "503 UNAVAILABLE"
    assert trader.told("GET", "/orders") == "200"
    assert Order.objects.count() == 1
    assert told(_placed_later(trader, now_ms(-11_000))) == "202"


def test_a_key_is_used_from_its_addresses_alone(world: World) -> None:
    key = Signer.of(world.alice, "read", addresses=["10.1.0.0/16", "2001:db8:5::/48"])

    def used_from(address: str, **headers: str) -> str:
        signed = key.headers("GET", f"{API}/orders") | headers
        return told(key.send("GET", "/orders", b"", signed, REMOTE_ADDR=address))

    assert used_from("10.1.2.3") == "200"
    assert used_from("::ffff:10.1.2.3") == "200"
    assert used_from("2001:db8:5:1::7") == "200"
    outside = ("10.2.0.1", "2001:db8:6::7", "", "10.1.2.3.evil")
    assert {used_from(address) for address in outside} == {"403 ADDRESS_NOT_ALLOWED"}
    forged = {"X-Forwarded-For": "10.1.2.3"}
    assert used_from("192.0.2.1", **forged) == "403 ADDRESS_NOT_ALLOWED"
    with override_settings(TRUSTED_PROXIES=1):
        assert used_from("192.0.2.1", **forged) == "200"
        assert used_from("192.0.2.1", **{"X-Forwarded-For": "10.1.2.3, 192.0.2.9"}) == "403 ADDRESS_NOT_ALLOWED"


def test_requests_are_counted_in_the_owners_bucket_and_what_is_refused_is_not(
    world: World, trader: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "_window", LocalWindow(lambda: 0.0))
    with override_settings(RATE_LIMIT=2):
        bad = [trader.told("GET", "/orders", X_Signature="0" * 64) for _ in range(3)]
        assert bad == ["401 SIGNATURE_INVALID"] * 2 + ["429 TOO_MANY_REQUESTS"], "by address"
        signed = trader.headers("GET", f"{API}/orders")
        answers = [told(trader.send("GET", "/orders", b"", headers)) for headers in (signed, signed)]
        assert answers == ["200", "429 TOO_MANY_REQUESTS"], "a replay is nobody's"
        assert told(world.alice.call("GET", "/orders")) == "200"
        assert trader.told("GET", "/orders") == "429 TOO_MANY_REQUESTS"
        assert told(world.bob.call("GET", "/orders")) == "200"


def test_who_invents_keys_does_not_keep_the_database_busy(
    world: World, trader: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use, "_lookups", LocalWindow(lambda: 0.0))
    monkeypatch.setattr(use, "MOST_LOOKUPS", 3)
    assert trader.told("GET", "/orders") == "200"
    invented = [trader.told("GET", "/orders", X_API_Key=f"{number:032}") for number in range(4)]
    assert invented == ["401 KEY_UNKNOWN"] * 2 + ["429 TOO_MANY_REQUESTS"] * 2
    assert trader.told("GET", "/orders") == "200", "a key that is in use needs no query"


def test_a_path_is_signed_as_it_is_sent(world: World, trader: Signer) -> None:
    assert trader.told("GET", "/orders/client/a:b-c.d_e") == "404 ORDER_NOT_FOUND"
    assert trader.told("GET", "/orders?symbol=BTC%2DUSD") == "200"


def test_a_body_beyond_the_limit(trader: Signer) -> None:
    assert trader.told("POST", "/orders", b'{"a": "' + b"x" * 70_000 + b'"}') == "413 BODY_TOO_LARGE"
    assert trader.told("POST", "/orders", b"[1]") == "401 SIGNATURE_INVALID"


def test_a_request_of_a_key_that_is_remembered_asks_for_no_key(world: World, trader: Signer) -> None:
    """Beside what a token costs: one statement in three seconds, and one in a minute for when it was used."""

    def statements(call: Any) -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert call().status_code == 200
        return len(captured)

    assert trader.told("GET", "/orders") == "200"
    world.alice.call("GET", "/orders")
    by_token = statements(lambda: world.alice.call("GET", "/orders"))
    assert statements(lambda: trader.call("GET", "/orders")) == by_token
    forget_keys(world.alice.user.id)
    assert statements(lambda: trader.call("GET", "/orders")) == by_token + 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [OperationalError(1290, "read-only"), InterfaceError(0, "")], ids=repr)
def test_a_key_reads_though_its_use_cannot_be_stored(error: Exception) -> None:
    trader = Signer.of(World.make().alice, "read")

    def refuse(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE") and "last_used_at" in sql:
            raise error
        return execute(sql, *rest)

    with connection.execute_wrapper(refuse):
        assert trader.told("GET", "/orders") == "200"
    assert ApiKey.objects.get().last_used_at is None


def test_when_a_key_was_used_is_stored_once_a_minute(world: World, trader: Signer) -> None:
    def used() -> Any:
        return ApiKey.objects.get().last_used_at

    trader.call("GET", "/orders")
    first = used()
    assert first is not None
    for _ in range(2):
        trader.call("GET", "/orders")
        forget_uses()
    assert used() == first
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    trader.call("GET", "/orders")
    assert used() > first


def test_a_secret_that_cannot_be_read_is_no_unknown_key(world: World, trader: Signer) -> None:
    known_key.cache_clear()
    with override_settings(API_KEY_SECRETS=("another secret of thirty-two letters",)):
        assert trader.told("GET", "/orders") == "503 UNAVAILABLE"
