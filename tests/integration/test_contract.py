"""What is really answered and told is what the API's description says: each call once, each event, many refusals.

Every answer that the cast gets is held against the description, in all tests; here it is seen that none is left out.
"""

import json
import time
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client, override_settings
from rest_framework.test import APIClient

from base.storage.lineage import read_lineage, renew_lineage
from base.streams import Message
from base.streams.messages import data_text
from base.streams.signin import Permit
from base.web.accounts import Credential
from base.web.errors import ExchangeError
from base.web.openapi.operations import BEARER
from commands.queue import find_backlog
from exchange.asgi import MARKET_PATH, ORDER_STATUS_PATH, SOCKET_PATH
from marketdata.feed import MarketFeed
from matching import prepare
from orders.feed import OrderFeed
from tests.support.contract import check_answer, check_event, described, operations, template
from tests.support.world import Person, World, person
from users.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.dialect]

MARKET_STREAM = MARKET_PATH + "{symbol}"
NOT_UNDER_TEST = {("GET", ORDER_STATUS_PATH), ("GET", MARKET_STREAM), ("GET", SOCKET_PATH)}
LIMIT = {"symbol": "BTC-USD", "side": "BUY", "type": "LIMIT", "price": "100", "quantity": "1"}
NEW_MARKET = {"symbol": "ETH-USD", "base": "ETH", "quote": "USD", "tickSize": "0.01", "lotSize": "0.01"}


class Answers:
    """Makes calls, and keeps which operations were answered with which status."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, str, int]] = set()

    def call(self, who: Person, method: str, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        response = who.call(method, path, body, **headers)
        assert response.status_code == status, response.body
        self.seen.add((method, template(f"/api/v1{path}"), status))
        return (response.body or {}).get("data")


@override_settings(SANDBOX=True)
def test_every_call_answers_as_described(world: World):
    answers = Answers()
    call, alice, bob, staff = answers.call, world.alice, world.bob, world.staff
    me = alice.user.id
    _trade(world, call)
    order = alice.get("/orders?limit=1")[0]["orderId"]
    for path in ("/orders?active=true&status=OPEN", f"/orders/{order}", f"/orders/{order}/trades"):
        call(alice, "GET", path)
    call(alice, "GET", "/orders/client/mine")
    call(bob, "GET", f"/orders/{bob.get('/orders')[0]['orderId']}/trades")
    call(alice, "GET", f"/orders/{order}/events?limit=1")
    call(alice, "GET", "/fills?limit=1")
    call(alice, "POST", "/orders/batch", {"orders": [LIMIT, {}, 1, {**LIMIT, "clientOrderId": "mine"}]}, 202)
    call(alice, "GET", f"/orders/{order}/queue")
    call(alice, "PATCH", f"/orders/{order}", {"price": "89"}, 202)
    call(alice, "DELETE", f"/orders/{order}", status=202)
    call(alice, "POST", f"/orders/{order}/replace", LIMIT, 202)
    call(alice, "POST", "/orders/batch-cancel", {"orderIds": [order, 999], "clientOrderIds": ["mine"]}, 202)
    call(alice, "POST", "/orders/cancel-all-after", {"timeoutSeconds": 60})
    call(alice, "POST", "/orders/preview", LIMIT)
    target = {"symbol": "BTC-USD", "side": "BUY", "quantity": "0.01", "price": "1", "stopPrice": "900"}
    call(alice, "POST", "/orders/oco", {**target, "stopLimitPrice": "901"}, 202)
    keyed = call(alice, "POST", "/orders", {**LIMIT, "clientOrderId": "keyed"}, 202)["clientOrderId"]
    call(alice, "DELETE", f"/orders/client/{keyed}", status=202)
    call(alice, "DELETE", "/orders?symbol=BTC-USD", status=202)
    for path in (
        "/positions",
        f"/users/{me}",
        f"/balances/{me}",
        f"/balances/{me}/BTC",
        f"/balances/{me}/USD/ledger?limit=2",
    ):
        call(alice, "GET", path)
    _look(world, call)
    transfer = {"userId": me, "currency": "USD", "amount": "-1.5", "reason": "out", "reference": "out-1"}
    for method in ("POST", "PUT"):
        call(staff, method, "/balances/update", transfer)
    _wait_for_another(world, call)
    call(staff, "POST", "/markets", NEW_MARKET, 201)
    call(staff, "PATCH", "/markets/ETH-USD", {"status": "HALTED"})
    _watch_over(alice.user, staff, call)
    call(alice, "POST", "/stream/tickets", status=201)
    call(staff, "GET", "/stream/order-status/stats")
    _sign_in(world, call)
    for path in ("/health/live", "/health/ready", "/api/schema"):
        answer = Client().get(path)
        check_answer("GET", path, answer.status_code, answer["Content-Type"], answer.json())
    api = {key for key in operations() if key[1].startswith("/api/v1/")} - NOT_UNDER_TEST
    for who, path in ((alice, "/sandbox/faults"), (staff, f"/sandbox/faults/{me}")):
        call(who, "PUT", path, {"seed": 1})
        call(who, "GET", path)
        call(who, "DELETE", path, status=204)
    assert sorted(api - {(method, path) for method, path, status in answers.seen if status < 300}) == []


def _wait_for_another(world: World, call: Any) -> None:
    """An adjustment above the threshold and a payout of fees, of which another person approves the first."""
    adjustment = {"currency": "USD", "amount": "2", "reason": "r", "userId": world.alice.user.id}
    with override_settings(APPROVAL_ABOVE={"USD": Decimal(1)}):
        first = call(world.staff, "POST", "/balances/update", {**adjustment, "reference": "a-1"}, 202)["approvalId"]
    payout = {"currency": "USD", "amount": "2", "reason": "r", "reference": "a-2"}
    second = call(world.staff, "POST", "/fees/payout", payout, 202)["approvalId"]
    treasurer = world.clerk("treasurers")
    call(treasurer, "GET", "/approvals")
    call(treasurer, "POST", f"/approvals/{first}/approve", {"reason": "seen"})
    call(treasurer, "POST", f"/approvals/{second}/refuse", {})


def _trade(world: World, call: Any) -> None:
    """Orders of all kinds and ends; a resting one of Alice's is the last."""
    order = {**LIMIT, "clientOrderId": "mine"}
    call(world.alice, "POST", "/orders", order, 202)
    call(world.alice, "POST", "/orders", order, 202)
    world.match()
    world.play(world.bob, "sell 0.5 @ market")
    world.play(world.alice, "buy 1 @ market")
    world.play(world.bob, "sell 1 @ 200")
    world.play(world.alice, "buy market 100 quote")
    world.play(world.alice, "buy 1 @ 90 fok")
    world.play(world.alice, "buy 1 @ 80 post-only")


def _watch_over(user: User, staff: Person, call: Any) -> None:
    """Limits, the kill switch and the caches, by staff who may do everything."""
    path = f"/users/{user.pk}"
    call(staff, "PATCH", f"{path}/limits", {"openNotional": {"USD": "100000"}, "markets": ["BTC-USD"]})
    call(staff, "GET", f"{path}/limits")
    call(staff, "POST", f"{path}/kill", {"reason": "a test"})
    call(staff, "DELETE", f"{path}/kill")
    call(staff, "GET", "/cache/stats")
    for watched in ("/feed/orders/BTC-USD", "/feed/trades/BTC-USD"):
        call(staff, "GET", watched)


def _look(world: World, call: Any) -> None:
    for path in (
        "/markets",
        "/markets/BTC-USD",
        "/orderbook/BTC-USD?limit=1",
        "/trades/BTC-USD?limit=1",
        "/time",
        "/info",
        "/class",
    ):
        call(world.carol, "GET", path)
    for path in ("/klines/BTC-USD?interval=1h&limit=2", "/ticker", "/ticker/BTC-USD"):
        call(world.carol, "GET", path)


def _sign_in(world: World, call: Any) -> None:
    dora = {"username": "dora", "password": "correct horse"}
    call(world.carol, "POST", "/users", {**dora, "email": "dora@example.com"}, 201)
    tokens = call(world.carol, "POST", "/auth/token", dora)
    fresh = call(world.carol, "POST", "/auth/token/refresh", {"refreshToken": tokens["refreshToken"]})
    signed_in = Person(world.carol.user, APIClient())
    signed_in.client.credentials(HTTP_AUTHORIZATION=f"Bearer {fresh['accessToken']}")
    passwords = {"currentPassword": dora["password"], "newPassword": "battery staple"}
    call(signed_in, "POST", "/users/me/password", passwords, 204)
    for path in ("/users/me", "/account", "/balances", "/assets", "/fees"):
        call(signed_in, "GET", path)
    key = call(signed_in, "POST", "/keys", {"label": "bot", "scopes": ["read"]}, 201)
    call(signed_in, "GET", "/keys")
    call(signed_in, "DELETE", f"/keys/{key['keyId']}", status=204)
    call(signed_in, "PATCH", "/users/me", {"email": "dora@example.org"})
    call(signed_in, "POST", "/auth/logout", {"everywhere": True}, 204)
    tokens = call(world.carol, "POST", "/auth/token", {**dora, "password": "battery staple"})
    signed_in.client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['accessToken']}")
    call(signed_in, "DELETE", "/users/me", {"password": "battery staple"}, 204)


@pytest.mark.parametrize(
    ("who", "method", "path", "body", "status", "error"),
    [
        ("alice", "POST", "/orders", {**LIMIT, "price": "100.001"}, 400, "PRICE_OFF_TICK"),
        ("alice", "POST", "/orders", {"more": 1}, 400, "VALIDATION_FAILED"),
        ("alice", "POST", "/orders", b"{", 400, "MALFORMED_BODY"),
        ("alice", "POST", "/orders", {**LIMIT, "note": "x" * 70_000}, 413, "BODY_TOO_LARGE"),
        ("carol", "POST", "/orders", LIMIT, 400, "INSUFFICIENT_FUNDS"),
        ("alice", "POST", "/orders", {**LIMIT, "userId": 1_000_000}, 403, "NOT_YOUR_ACCOUNT"),
        ("staff", "POST", "/orders", {**LIMIT, "userId": 1_000_000}, 404, "USER_NOT_FOUND"),
        ("alice", "POST", "/orders", {**LIMIT, "symbol": "NO"}, 400, "MARKET_NOT_FOUND"),
        ("alice", "GET", "/orders/1000000", None, 404, "ORDER_NOT_FOUND"),
        ("alice", "GET", "/orders?cursor=x", None, 400, "INVALID_CURSOR"),
        ("alice", "DELETE", "/orders?sybmol=BTC-USD", None, 400, "PARAMETER_UNKNOWN"),
        ("alice", "GET", "/orders?symbol=NO", None, 404, "MARKET_NOT_FOUND"),
        ("alice", "PUT", "/orders", None, 405, "METHOD_NOT_ALLOWED"),
        ("alice", "POST", "/markets", NEW_MARKET, 403, "STAFF_ONLY"),
        ("staff", "POST", "/markets", {**NEW_MARKET, "symbol": "BTC-USD"}, 409, "SYMBOL_TAKEN"),
        ("staff", "POST", "/markets", {**NEW_MARKET, "quote": "ETH"}, 400, "INVALID_MARKET"),
        ("alice", "GET", "/balances/1000000", None, 404, "USER_NOT_FOUND"),
        ("staff", "GET", "/ticker/NO", None, 404, "MARKET_NOT_FOUND"),
        ("staff", "POST", "/auth/token", {"username": "alice", "password": "x"}, 401, "INVALID_CREDENTIALS"),
    ],
)
def test_refusals_are_as_described(world, who, method, path, body, status, error):
    response = getattr(world, who).call(method, path, body)
    assert (response.status_code, response.body["error"]) == (status, error)


@override_settings(INTAKE_MAX_WAITING=0)
def test_a_busy_market_is_as_described(world):
    world.place(world.alice, "buy 1 @ 90")
    find_backlog.cache_clear()
    response = world.place(world.alice, "buy 1 @ 90")
    assert (response.status_code, response.body["error"]) == (503, "MARKET_BUSY")


@pytest.mark.parametrize("refusal", [ExchangeError("broken"), ConnectionError("a defect")], ids=["told", "untold"])
def test_a_defect_is_as_described(world, monkeypatch, refusal):
    def fail(*_: object, **__: object) -> None:
        raise refusal

    monkeypatch.setattr("orders.views.place_order", fail)
    assert world.place(world.alice, "buy 1 @ 90").body["error"] == "INTERNAL_ERROR"


@override_settings(SANDBOX=True)
def test_who_may_call_is_as_described(world):
    """What wants a token refuses whoever has none; what is for staff refuses a user."""
    stranger = person("stranger")
    stranger.client.credentials()
    for (method, path), operation in operations().items():
        if not path.startswith("/api/v1/") or (method, path) in NOT_UNDER_TEST:
            continue
        called = path.removeprefix("/api/v1").replace("{symbol}", "NO").replace("{currency}", "NO")
        called = called.replace("{userId}", "1000000").replace("{orderId}", "1").replace("{clientOrderId}", "x")
        is_for_users = {BEARER: []} in operation["security"] and {} not in operation["security"]
        response = stranger.call(method, called)
        assert (response.body.get("error") == "NOT_AUTHENTICATED") is is_for_users, (method, path)
        is_for_staff = "STAFF_ONLY" in json.dumps(operation["responses"].get("403", {}))
        response = world.alice.call(method, called)
        assert ((response.body or {}).get("error") == "STAFF_ONLY") is is_for_staff, (method, path)


def told(path: str, message: Message, feed: OrderFeed | None = None) -> str:
    """The event as a client reads it, held against the description; its type."""
    event: dict[str, Any] = {"event": message.type, "data": json.loads(data_text(message.data))}
    if message.id is not None:
        event["id"] = feed.bookmark(message.type, message.id, None) if feed else message.id
    check_event(path, event)
    return message.type


def test_every_event_is_told_as_described(world, monkeypatch):
    steps: list[Message] = []
    public: list[Message] = []

    def publish(batch: Any, ahead: Any = (), writes: Any = ()) -> None:
        steps.extend(batch)
        public.extend(ahead)

    monkeypatch.setattr(prepare, "publish_updates", publish)
    feed = MarketFeed(world.symbol)
    feed.opening(0)
    _trade(world, Answers().call)
    # The ids of events are positions: they name the lineage of the rows, once that is another.
    renew_lineage()
    user, private = world.alice.user.id, list[str]()
    for last in (None, f"~{read_lineage()},{steps[0].id}", "NO-1"):
        own = OrderFeed(user, last, Permit(Credential(user)))
        private += [told(ORDER_STATUS_PATH, message, own) for message in (*own.opening(time.monotonic()), *steps)]
    assert len(private) > 35
    assert set(private) == _events(ORDER_STATUS_PATH)
    public += feed.missed(float("inf"))
    assert {told(MARKET_STREAM, message) for message in public} == _events(MARKET_STREAM)


def _events(path: str) -> set[str]:
    """The kinds of event that the description tells of."""
    schema = operations()["GET", path]["responses"]["200"]["content"]["text/event-stream"]["schema"]
    names = [reference["$ref"].rpartition("/")[2] for reference in schema["oneOf"]]
    schemas = described()["components"]["schemas"]
    return {schemas[name]["properties"]["event"]["const"] for name in names}
