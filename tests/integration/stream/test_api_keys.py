"""API keys over a real server: the documented example, the stream of orders and the WebSocket."""

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from base.web.accounts import forget_account
from exchange.asgi import ORDER_STATUS_PATH, SOCKET_PATH
from orders.accounts import kill
from orders.models import Order
from tests.integration.stream.cast import until_true
from tests.integration.stream.client import StreamClient
from tests.integration.stream.trader import SocketTrader, place, socket
from tests.support.signing import API, FIELDS, Signer, now_ms
from tests.support.world import World
from users.acts import Actor
from users.api_key import ApiKey, Ending
from users.api_keys import end_keys, revoke_key
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "api.md"


@pytest.fixture
def world(transactional_db: None) -> World:
    return World.make()


def test_the_documented_examples(world: World, port: int, tmp_path: Path) -> None:
    """As they are printed, by Python, and by curl and openssl."""
    section = DOCUMENT.read_text().partition("\n## API keys\n")[2].partition("\n## ")[0]
    python, shell = re.findall(r"^```(?:python|sh)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", "key.pem"], cwd=tmp_path, check=True)
    pem = subprocess.run(
        ["openssl", "pkey", "-in", "key.pem", "-pubout"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    hmac = Signer.of(world.alice, "read", "trade")
    other = world.alice.call(
        "POST", "/keys", {"label": "pem", "scopes": ["read"], "algorithm": "ED25519", "publicKey": pem}
    )
    variables = {
        "EXCHANGE": f"http://127.0.0.1:{port}",
        "KEY_ID": hmac.key_id,
        "SECRET": hmac.secret,
        "ED25519_KEY_ID": other.body["data"]["keyId"],
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "NO_PROXY": "*",
    }
    for command in ([sys.executable, "-c", python], ["sh", "-c", shell]):
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=True)
        assert done.stdout.count('"orderId":') >= 2, done.stdout
        assert '"error"' not in done.stdout
    assert Order.objects.filter(user=world.alice.user).count() == 2


def test_a_path_is_signed_as_it_stands_in_the_request_line(world: World, port: int) -> None:
    key = Signer.of(world.alice, "read")
    for target in ("/orders?symbol=BTC%2DUSD", "/orders/client/a%3ab", "/orders/client/a:b"):
        answer = httpx.get(f"http://127.0.0.1:{port}{API}{target}", headers=key.headers("GET", API + target))
        assert answer.status_code in (200, 404), answer.text
    signed = key.headers("GET", f"{API}/orders/client/a%3Ab")
    answer = httpx.get(f"http://127.0.0.1:{port}{API}/orders/client/a:b", headers=signed)
    assert answer.json()["error"] == "SIGNATURE_INVALID"


def test_a_header_that_comes_twice(world: World, port: int) -> None:
    key = Signer.of(world.alice, "read")
    for path in (f"{API}/orders", ORDER_STATUS_PATH):
        for name, error in (
            ("X-API-Key", "KEY_UNKNOWN"),
            ("X-Timestamp", "TIMESTAMP_OUT_OF_WINDOW"),
            ("X-Signature", "SIGNATURE_INVALID"),
        ):
            signed = key.headers("GET", path)
            twice = [*signed.items(), (name, signed[name])]
            answer = httpx.get(f"http://127.0.0.1:{port}{path}", headers=twice)
            assert (answer.status_code, answer.json()["error"]) == (401, error), (path, name)


def stream_of(key: Signer, port: int, path: str = ORDER_STATUS_PATH, **changed: str) -> StreamClient:
    headers = {name.replace("-", "_"): value for name, value in key.headers("GET", path, **changed).items()}
    return StreamClient(port, path, **headers)


def refused(stream: StreamClient) -> str:
    with stream:
        return f"{stream.status} {stream.body()['error']}"


def test_who_opens_a_stream_by_a_key(world: World, port: int) -> None:
    reader, trader = Signer.of(world.alice, "read"), Signer.of(world.alice, "trade")
    path = f"{ORDER_STATUS_PATH}?userId={world.alice.user.id}"
    with stream_of(reader, port, path) as stream:
        told = stream.next()
    assert told is not None
    assert told.data == {"userId": world.alice.user.id}
    signed = {name.replace("-", "_"): value for name, value in reader.headers("GET", path).items()}
    assert refused(StreamClient(port, ORDER_STATUS_PATH, **signed)) == "401 SIGNATURE_INVALID"
    with StreamClient(port, path, **signed) as stream:
        assert stream.status == 200
    assert refused(StreamClient(port, path, **signed)) == "401 SIGNATURE_REPLAYED"
    assert refused(stream_of(trader, port)) == "403 SCOPE_REQUIRED"
    assert refused(stream_of(reader, port, timestamp=now_ms(-6_000))) == "401 TIMESTAMP_OUT_OF_WINDOW"
    User.objects.update(is_staff=True)
    assert refused(stream_of(reader, port, f"{ORDER_STATUS_PATH}?userId={world.bob.user.id}")) == "403 NOT_YOUR_ACCOUNT"


@pytest.mark.dialect
def test_a_stream_ends_with_its_key(world: World, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another process ended it, which this one learns within the three seconds of `Permissions`."""
    monkeypatch.setattr("base.streams.permissions.PERMISSION_SECONDS", 0.3)
    alice = world.alice.user.id
    keys = {end: Signer.of(world.alice, "read") for end in ("revoked", "expired", "kept")}
    streams = {end: stream_of(key, port) for end, key in keys.items()}
    assert {stream.next().data["userId"] for stream in streams.values()} == {alice}  # type: ignore[union-attr]
    revoke_key(alice, keys["revoked"].key_id)
    ApiKey.objects.filter(key_id=keys["expired"].key_id).update(expires_at="2026-01-01T00:00:00Z")
    for end in ("revoked", "expired"):
        assert until_true(lambda end=end: streams[end].next(0.1) is None and streams[end].ended, 5), end
    assert streams["kept"].next(0.5) is None
    assert not streams["kept"].ended
    kill(alice, Actor(world.staff.user.id, "127.0.0.1", "a test"))
    assert until_true(lambda: streams["kept"].next(0.1) is None and streams["kept"].ended, 5)
    for stream in streams.values():
        stream.close()


def auth_of(key: Signer, path: str = SOCKET_PATH, **changed: Any) -> dict[str, Any]:
    fields = {FIELDS[name]: value for name, value in key.headers("GET", path).items()}
    return {**fields, "timestamp": int(fields["timestamp"]), **changed}


@pytest.mark.dialect
def test_a_key_signs_in_on_a_websocket(world: World, port: int) -> None:
    key = Signer.of(world.alice, "read", "trade", algorithm="ED25519")
    with socket(port) as trader:
        signed = auth_of(key, recvWindow=60_000)
        assert trader.ask("auth", **signed)["data"]["userId"] == world.alice.user.id
        assert trader.ask("auth", **signed)["error"] == "SIGNATURE_REPLAYED"
        assert trader.follow("orders")["code"] == 200
        assert place(trader, world, "buy 1 @ 90")["code"] == 202
        world.match()
        assert trader.push("order-status-update")["data"]["status"] == "OPEN"
        end_keys(world.alice.user.id, Ending.OPERATOR)
        forget_account(world.alice.user.id)
        assert place(trader, world, "buy 1 @ 91")["error"] == "KEY_UNKNOWN"
        with pytest.raises(ConnectionClosed):
            read_to_the_end(trader)
    assert Order.objects.count() == 1


def test_scopes_hold_on_a_websocket(world: World, port: int) -> None:
    with socket(port) as reader, socket(port) as trader:
        assert reader.ask("auth", **auth_of(Signer.of(world.alice, "read")))["code"] == 200
        assert trader.ask("auth", **auth_of(Signer.of(world.alice, "trade")))["code"] == 200
        assert place(reader, world, "buy 1 @ 90")["error"] == "SCOPE_REQUIRED"
        assert trader.follow("orders")["error"] == "SCOPE_REQUIRED"
        assert place(trader, world, "buy 1 @ 90")["code"] == 202
        assert reader.follow("orders", f"depth:{world.symbol}")["code"] == 200


def test_what_signs_nobody_in_on_a_websocket(world: World, port: int) -> None:
    key = Signer.of(world.alice, "read", addresses=["10.0.0.0/8"])
    other = Signer.of(world.alice, "read")
    for fields, error in (
        (auth_of(key), "ADDRESS_NOT_ALLOWED"),
        (auth_of(other, f"{API}/orders"), "SIGNATURE_INVALID"),
        (auth_of(other, signature="é"), "SIGNATURE_INVALID"),
        (auth_of(other, apiKey="é" * 32), "KEY_UNKNOWN"),
        (auth_of(other, timestamp=int(time.time())), "TIMESTAMP_OUT_OF_WINDOW"),
        (auth_of(other, timestamp=-1), "OUT_OF_RANGE"),
        (auth_of(other, recvWindow=-1), "OUT_OF_RANGE"),
        (auth_of(other, ticket="x"), "FIELD_REQUIRED"),
        ({"apiKey": other.key_id}, "TIMESTAMP_OUT_OF_WINDOW"),
    ):
        with socket(port) as anybody:
            assert anybody.ask("auth", **fields)["error"] == error
            assert anybody.follow("orders")["error"] == "NOT_AUTHENTICATED"


def read_to_the_end(trader: SocketTrader) -> None:
    while True:
        trader.frame()
