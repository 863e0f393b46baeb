"""The WebSocket: orders and streams over one connection, as REST and server-sent events have them."""

import json
import time
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import override_settings
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from base.streams import issue_ticket, stats
from base.streams import socket as one_socket
from base.web.accounts import Credential, forget_account
from base.web.ratelimit.windows import LocalWindow
from exchange.socket import PATH
from orders.models import Order
from tests.integration.stream.cast import Cast, until_true
from tests.integration.stream.cast import connect as stream
from tests.integration.stream.client import StreamClient
from tests.integration.stream.trader import SocketTrader, place, socket
from tests.support.tape import parse
from tests.support.world import World, stored_rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(transactional_db: None) -> World:
    return World.make()


@pytest.mark.dialect
def test_an_order_is_placed_and_its_fill_arrives_as_over_the_stream(world: World, port: int) -> None:
    with socket(port, world.alice.user) as alice, stream(port, world.alice.user) as sse:
        assert alice.follow("orders")["data"] == {"channels": ["orders"]}
        assert alice.push("connected")["data"] == {"userId": world.alice.user.id}
        world.play(world.bob, "sell 1 @ 100")
        answer = place(alice, world, "buy 1 @ 100", clientOrderId="a")
        assert (answer["code"], answer["data"]["status"]) == (202, "PENDING")
        assert place(alice, world, "buy 1 @ 100", clientOrderId="a")["replayed"] is True
        world.match()
        update = alice.push("order-status-update")
        _, told = sse.take(2)
    assert (update["channel"], update["id"], update["data"]["status"]) == ("orders", told.id, "FILLED")
    assert update["data"] == told.data
    assert update["data"]["orderId"] == answer["data"]["orderId"]


def test_an_order_is_amended_and_cancelled(world: World, port: int) -> None:
    with socket(port, world.alice.user) as alice:
        alice.follow("orders")
        order_id = place(alice, world, "buy 1 @ 90")["data"]["orderId"]
        world.match()
        assert alice.ask("order.amend", params={"orderId": order_id, "price": "91", "side": "SELL"})["code"] == 400
        assert alice.ask("order.amend", params={"orderId": order_id, "price": "91"})["code"] == 202
        assert alice.ask("order.cancel", params={"orderId": str(order_id)})["code"] == 202
        world.match()
        told = [alice.push("order-status-update")["data"] for _ in range(3)]
        assert [(each["status"], each["price"]) for each in told] == [
            ("OPEN", "90"),
            ("OPEN", "91"),
            ("CANCELLED", "91"),
        ]
        assert alice.ask("order.cancel", params={"orderId": order_id})["error"] == "ORDER_CLOSED"


def test_a_target_and_a_stop_are_placed_together_and_go_with_the_socket(world: World, port: int) -> None:
    sell = {"symbol": world.symbol, "side": "SELL", "quantity": "1", "price": "120", "stopPrice": "90"}
    with socket(port, world.bob.user) as bob:
        bob.ask("cancel-on-disconnect", enabled=True)
        refused = bob.ask("order.oco", params={**sell, "price": "80"})
        assert (refused["code"], refused["error"]) == (400, "OCO_PRICES_CROSS")
        placed = bob.ask("order.oco", params={**sell, "clientOrderId": "pair"})
        assert (placed["code"], len(placed["data"]["orders"])) == (202, 2)
        assert bob.ask("order.oco", params={**sell, "clientOrderId": "pair"})["replayed"] is True
    gone = ["USER_CANCELLED"] * 2
    assert until_true(lambda: (world.match(), list(Order.objects.values_list("reason", flat=True)))[1] == gone)


def test_a_market_buy_of_who_has_nothing_is_refused_at_once(world: World, port: int) -> None:
    with socket(port, world.bob.user) as bob:
        refused = place(bob, world, "buy 1 @ market")
        assert (refused["code"], refused["error"]) == (400, "INSUFFICIENT_FUNDS")
    assert not Order.objects.exists()


def test_public_channels_need_no_sign_in(world: World, port: int) -> None:
    with socket(port) as carol, StreamClient(port, f"/api/v1/stream/market/{world.symbol}") as sse:
        channels = [f"{kind}:{world.symbol}" for kind in ("depth", "ticker", "trades")]
        assert carol.follow(*channels)["data"]["channels"] == channels
        assert carol.push("depth")["data"] == sse.take(2)[0].data
        world.play(world.bob, "sell 1 @ 100")
        world.play(world.alice, "buy 1 @ 100")
        trades = carol.push("trades")
        assert (trades["channel"], trades["data"][0]["price"]) == (f"trades:{world.symbol}", "100")
        assert carol.ask("unsubscribe", channels=channels[1:])["data"]["channels"] == channels[:1]
        assert carol.follow("orders")["error"] == "NOT_AUTHENTICATED"


def test_what_was_missed_is_sent_after_a_cut(world: World, port: int) -> None:
    with socket(port, world.alice.user) as alice:
        alice.follow("orders")
        world.play(world.alice, "buy 1 @ 90")
        seen = alice.push("order-status-update")
    world.play(world.alice, "buy 1 @ 91")
    with socket(port, world.alice.user) as alice:
        alice.follow("orders", lastEventId=seen["id"])
        missed = alice.push("order-status-update")
        assert missed["data"]["price"] == "91"
        with socket(port, world.alice.user) as other:
            other.follow("orders", lastEventId="NOPE-7")
            assert other.push("stream-reset")["id"] == missed["id"]


def test_orders_are_cancelled_when_the_socket_goes(world: World, port: int) -> None:
    kept = place_in(world, port, "buy 1 @ 80", enabled=False)
    gone = [place_in(world, port, "buy 1 @ 90", enabled=True) for _ in range(2)]
    assert until_true(lambda: (world.match(), Order.objects.filter(status="CANCELLED").count() == 2)[1])
    assert {order.id for order in Order.objects.filter(status="CANCELLED")} == set(gone)
    assert Order.objects.get(id=kept).status == "OPEN"


def test_an_order_that_is_on_its_way_when_the_socket_goes_is_cancelled_too(world: World, port: int) -> None:
    with socket(port, world.alice.user) as alice:
        assert alice.ask("cancel-on-disconnect", enabled=True)["code"] == 200
        body = parse("buy 1 @ 90").body(world.symbol)
        alice.connection.send(json.dumps({"op": "order.place", "params": body}))
        alice.connection.socket.close()
    assert until_true(lambda: (world.match(), Order.objects.filter(status="CANCELLED").exists())[1])


def test_a_flood_of_pings_is_refused(world: World, port: int) -> None:
    with socket(port) as anybody:
        codes = [anybody.ask("ping")["code"] for _ in range(15)]
        assert codes[:10] == [200] * 10
        assert 429 in codes


def read_to_the_end(trader: SocketTrader) -> None:
    while True:
        trader.frame()


def place_in(world: World, port: int, line: str, *, enabled: bool) -> int:
    with socket(port, world.alice.user) as alice:
        order_id: int = place(alice, world, line)["data"]["orderId"]
        assert alice.ask("cancel-on-disconnect", enabled=enabled)["data"] == {"enabled": enabled}
        world.match()
        # Abruptly, as a client that dies.
        alice.connection.socket.close()
    return order_id


def test_a_ticket_signs_in_once(world: World, port: int) -> None:
    ticket = issue_ticket(Credential(world.alice.user.id))
    with socket(port) as alice:
        assert alice.ask("auth", ticket=ticket)["data"]["userId"] == world.alice.user.id
        assert alice.sign_in(world.bob.user)["error"] == "ALREADY_SIGNED_IN"
        assert alice.sign_in(world.alice.user)["code"] == 200
        assert alice.ask("auth", ticket=ticket)["error"] == "NOT_AUTHENTICATED"


# What is sent, and the code of the refusal.
BAD_INPUT = (
    ("", "MALFORMED_BODY"), ("{", "MALFORMED_BODY"), ("[]", "MALFORMED_BODY"), ("1", "MALFORMED_BODY"),
    ('{"id": 1, "id": 2}', "MALFORMED_BODY"), ("[" * 9, "MALFORMED_BODY"),
    ('{"id": {}}', "INVALID_ID"), ('{"id": true}', "INVALID_ID"), ('{"id": "%s"}' % ("x" * 65), "INVALID_ID"),
    ('{"id": 7}', "FIELD_REQUIRED"), ('{"id": 7, "op": 1}', "STRING_REQUIRED"),
    ('{"id": 7, "op": "order.move"}', "OPERATION_UNKNOWN"), ('{"id": 7, "op": "\\u0000"}', "OPERATION_UNKNOWN"),
    ('{"id": 7, "op": "ping", "x": 1}', "FIELD_UNKNOWN"),
    ('{"id": 7, "op": "auth"}', "FIELD_REQUIRED"), ('{"id": 7, "op": "auth", "token": 1}', "STRING_REQUIRED"),
    ('{"id": 7, "op": "auth", "token": "x"}', "NOT_AUTHENTICATED"),
    ('{"id": 7, "op": "auth", "ticket": "x"}', "NOT_AUTHENTICATED"),
    ('{"id": 7, "op": "subscribe"}', "LIST_EMPTY"), ('{"id": 7, "op": "subscribe", "channels": []}', "LIST_EMPTY"),
    ('{"id": 7, "op": "subscribe", "channels": "orders"}', "LIST_REQUIRED"),
    ('{"id": 7, "op": "subscribe", "channels": ["depth"]}', "CHANNEL_UNKNOWN"),
    ('{"id": 7, "op": "subscribe", "channels": ["depth:NOPE"]}', "MARKET_NOT_FOUND"),
    ('{{"id": 7, "op": "subscribe", "channels": {}}}'.format(json.dumps([f"depth:M{n}" for n in range(51)])),
     "LIST_TOO_LONG"),
    ('{"id": 7, "op": "subscribe", "channels": ["orders"]}', "NOT_AUTHENTICATED"),
    ('{"id": 7, "op": "order.place"}', "OBJECT_REQUIRED"),
    ('{"id": 7, "op": "order.place", "params": {}}', "NOT_AUTHENTICATED"),
    ('{"id": 7, "op": "order.cancel", "params": {"orderId": "x"}}', "INVALID_ID"),
    ('{"id": 7, "op": "order.amend", "params": {"price": "1"}}', "FIELD_REQUIRED"),
    ('{"id": 7, "op": "order.amend", "params": {"orderId": 1, "price": "1"}}', "NOT_AUTHENTICATED"),
    ('{"id": 7, "op": "cancel-on-disconnect", "enabled": "yes"}', "BOOLEAN_REQUIRED"),
    ('{"id": 7, "op": "cancel-on-disconnect", "enabled": true}', "NOT_AUTHENTICATED"),
)  # fmt: skip


def test_bad_input_is_refused_and_the_socket_stays(world: World, port: int) -> None:
    before = stored_rows()
    for frame, error in BAD_INPUT:
        with socket(port) as anybody:
            anybody.connection.send(frame)
            refusal = anybody.answer(7 if '"id": 7' in frame else None)
            assert (refusal["error"], refusal["code"] < 500) == (error, True), frame
            assert anybody.ask("ping")["code"] == 200
    assert stored_rows() == before


def test_orders_are_refused_as_over_rest(world: World, port: int) -> None:
    with socket(port, world.alice.user) as alice:
        for line, more in (("buy 1 @ 100.001", {}), ("buy 1000 @ 1000", {}), ("buy 1 @ 1", {"color": "red"})):
            body = parse(line).body(world.symbol, **more)
            over_rest = world.alice.call("POST", "/orders", body).body
            over_socket = alice.ask("order.place", params=body)
            assert {**over_socket, "timestamp": ""} == {**over_rest, "timestamp": "", "id": over_socket["id"]}


def test_errors_have_a_limit(world: World, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Those of other tests, from the same address, do not count.
    monkeypatch.setattr(one_socket, "_errors_of_addresses", LocalWindow(lambda: 0.0))
    with socket(port) as anybody:
        for _ in range(21):
            anybody.connection.send("x")
        with pytest.raises(ConnectionClosed) as closed:
            read_to_the_end(anybody)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "too many errors")


def test_errors_of_one_address_have_a_limit_over_all_of_its_sockets(
    world: World, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_socket, "_errors_of_addresses", LocalWindow(lambda: 0.0))
    monkeypatch.setattr(one_socket, "ADDRESS_ERRORS", 3)
    for errors in (3, 1):
        with socket(port) as anybody:
            for _ in range(errors):
                anybody.connection.send("x")
            if errors == 3:
                assert [anybody.frame()["error"] for _ in range(3)] == ["MALFORMED_BODY"] * 3
                assert anybody.ask("ping")["code"] == 200
            else:
                with pytest.raises(ConnectionClosed):
                    read_to_the_end(anybody)


def test_large_frames_of_one_address_wait_for_their_turn(
    world: World, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To read one takes milliseconds, in which the process serves nobody else."""
    monkeypatch.setattr(one_socket, "ADDRESS_LARGE", 20)
    large = {"id": 1, "op": "ping", "more": "x" * 60_000}
    with socket(port) as anybody, socket(port) as neighbour:
        began = time.monotonic()
        for _ in range(2):
            anybody.connection.send(json.dumps(large))
        assert neighbour.ask("ping")["code"] == 200
        assert anybody.frame()["error"] == "FIELD_UNKNOWN"
        assert anybody.frame()["error"] == "FIELD_UNKNOWN"
        assert time.monotonic() - began > 0.9


@pytest.mark.parametrize(("message", "code"), [(b"{}", 1003), ("x" * 65_537, 1009)], ids=["binary", "long"])
def test_what_is_no_text_or_too_long_closes(world: World, port: int, message: Any, code: int) -> None:
    with socket(port) as anybody:
        anybody.connection.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            anybody.frame()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code


def test_who_is_idle_or_late_or_barred_is_let_go(world: World, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("base.streams.socket.IDLE_SECONDS", 0.3)
    monkeypatch.setattr("base.streams.permissions.PERMISSION_SECONDS", 0.3)
    assert code_of(port) == 1000
    with override_settings(STREAM_MAX_SECONDS=1):
        assert code_of(port, channels=[f"depth:{world.symbol}"]) == 1012
    with socket(port, world.alice.user) as alice:
        alice.follow("orders")
        get_user_model().objects.filter(id=world.alice.user.id).update(is_active=False)
        forget_account(world.alice.user.id)
        assert place(alice, world, "buy 1 @ 1")["error"] == "NOT_AUTHENTICATED"
        with pytest.raises(ConnectionClosed):
            read_to_the_end(alice)


def code_of(port: int, channels: list[str] | None = None) -> int | None:
    with socket(port) as anybody:
        if channels:
            anybody.follow(*channels)
        with pytest.raises(ConnectionClosed) as closed:
            read_to_the_end(anybody)
    return closed.value.rcvd and closed.value.rcvd.code


def test_one_address_and_one_user_have_not_every_connection(world: World, port: int) -> None:
    with override_settings(SOCKET_MAX_PER_ADDRESS=3, STREAM_MAX_PER_USER=1, STREAM_MAX_PER_ADDRESS=1):
        with socket(port, world.alice.user) as alice, socket(port) as second, socket(port):
            with pytest.raises(InvalidStatus) as refused, socket(port):
                pass
            assert refused.value.response.status_code == 429
            assert json.loads(refused.value.response.body)["data"] == {"limit": 3, "scope": "address"}
            assert second.sign_in(world.alice.user)["error"] == "TOO_MANY_CONNECTIONS"
            assert alice.follow(f"depth:{world.symbol}")["code"] == 200
            assert second.follow(f"depth:{world.symbol}")["error"] == "TOO_MANY_STREAMS"
        assert until_true(lambda: can_sign_in(world, port))


def test_all_sockets_together_are_limited(world: World, port: int) -> None:
    with override_settings(SOCKET_MAX=1), socket(port):
        with pytest.raises(InvalidStatus) as refused, socket(port):
            pass
        body = json.loads(refused.value.response.body)
        assert (body["error"], body["data"]) == ("TOO_MANY_CONNECTIONS", {"limit": 1, "scope": "all"})


def can_sign_in(world: World, port: int) -> bool:
    with socket(port) as trader:
        return bool(trader.sign_in(world.alice.user)["code"] == 200)


def test_each_operation_counts_as_a_request(world: World, port: int) -> None:
    with socket(port, world.alice.user) as alice, override_settings(RATE_LIMIT=3):
        answers = [place(alice, world, "buy 1 @ 1")["code"] for _ in range(4)]
        assert answers == [202, 202, 202, 429]
        assert alice.follow(f"depth:{world.symbol}")["error"] == "TOO_MANY_REQUESTS"
        # Cancels are counted by themselves, and pings are not.
        assert alice.ask("order.cancel", params={"orderId": 1})["error"] == "ORDER_NOT_FOUND"
        assert alice.ask("ping")["code"] == 200


def test_what_is_no_websocket_is_told_so(world: World, port: int) -> None:
    with StreamClient(port, PATH) as client:
        assert (client.status, client.body()["error"]) == (426, "UPGRADE_REQUIRED")
    with pytest.raises(InvalidStatus) as refused, socket(port, path=f"{PATH}?token=x"):
        pass
    assert (refused.value.response.status_code, json.loads(refused.value.response.body)["error"]) == (
        400,
        "PARAMETER_UNKNOWN",
    )
    with pytest.raises(InvalidStatus), connect(f"ws://127.0.0.1:{port}/api/v1/nothing", proxy=None):
        pass


def test_a_page_of_another_site_is_nobody_here(world: World, port: int) -> None:
    """The browser sends the cookie of the admin's session along; it is not looked at."""
    world.staff.client.force_login(world.staff.user)
    cookie = world.staff.client.cookies.output(attrs=[], header="", sep=";").strip()
    assert "sessionid" in cookie
    with socket(port, additional_headers={"Cookie": cookie, "Origin": "https://evil.example"}) as page:
        assert page.follow("orders")["error"] == "NOT_AUTHENTICATED"


def test_a_client_that_reads_nothing_is_let_go(cast: Cast, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("base.streams.socket.SEND_SECONDS", 1.0)
    with socket(port, cast.alice, max_queue=1) as stuck, socket(port, cast.bob) as bob:
        stuck.follow("orders")
        bob.follow("orders")
        assert until_true(lambda: stats()["totalConnections"] == 2)
        deadline = time.monotonic() + 30
        while stats()["totalConnections"] == 2:
            assert time.monotonic() < deadline
            cast.tell_many(cast.alice, 500)
            event = cast.tell(cast.bob)
            assert bob.push("order-status-update")["data"]["eventId"] == event.event_id
