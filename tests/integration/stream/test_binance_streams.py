"""Binance's market streams: what a stock client follows, over the same hub as our own streams."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from websockets.exceptions import ConnectionClosed, InvalidStatus

from base.web.keys.known import known_key
from binance_api.listen_keys import open_listen_key
from commands.models import Command
from tests.integration.stream.binance import LocalBook, binance_socket, read_snapshot
from tests.support.signing import Signer, now_ms
from tests.support.world import World
from tools.rig.servers import Server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(transactional_db: None) -> World:
    return World.make()


def test_streams_are_named_by_the_address_or_subscribed_to(world: World, port: int) -> None:
    with (
        binance_socket(port, "/ws/btcusd@trade") as raw,
        binance_socket(port, "/stream?streams=btcusd@aggTrade/btc-usd@bookTicker") as combined,
        binance_socket(port, "/ws/0") as asking,
    ):
        assert asking.ask("SUBSCRIBE", ["btcusd@kline_1m", "btcusd@miniTicker"])["result"] is None
        assert asking.ask("LIST_SUBSCRIPTIONS")["result"] == ["btcusd@kline_1m", "btcusd@miniTicker"]
        assert asking.ask("UNSUBSCRIBE", ["btcusd@miniTicker"])["result"] is None
        assert combined.next()["stream"] == "btc-usd@bookTicker"
        world.play(world.bob, "sell 1 @ 100")
        world.play(world.alice, "buy 0.5 @ 100")
        trade = raw.next("trade")
        assert (trade["s"], trade["p"], trade["q"], trade["m"]) == ("BTCUSD", "100.00000000", "0.50000000", False)
        told = [combined.next() for _ in range(3)]
        aggregate = next(each["data"] for each in told if each["stream"] == "btcusd@aggTrade")
        assert (aggregate["a"], aggregate["T"]) == (trade["t"], trade["T"])
        kline = asking.next("kline")["k"]
        assert (kline["i"], kline["o"], kline["v"], kline["n"], kline["x"]) == ("1m", trade["p"], trade["q"], 1, False)


def test_what_is_no_request_is_told_in_binances_words(world: World, port: int) -> None:
    with binance_socket(port) as carol:
        assert carol.ask("SUBSCRIBE", ["btcusd@nope"])["error"]["code"] == 2
        assert carol.ask("SUBSCRIBE", ["nope@trade"])["error"] == {"code": -1121, "msg": "Invalid symbol."}
        assert carol.ask("SUBSCRIBE", [])["error"]["code"] == 2
        assert carol.ask("SHOUT", ["btcusd@trade"])["error"]["code"] == 2
        carol.connection.send("{")
        assert carol.next()["error"]["code"] == 3
        assert carol.ask("LIST_SUBSCRIPTIONS")["result"] == []
    for path in ("/ws/btcusd@nope", "/stream?streams=nope@trade", f"/ws/{'a' * 64}", "/ws?nope=1"):
        with pytest.raises(InvalidStatus) as refused, binance_socket(port, path):
            pass
        assert refused.value.response.status_code in (400, 401)


ODD = (
    *("[]", "1", '"SUBSCRIBE"', "{}", '{"method": 1}', '{"method": "SUBSCRIBE", "id": {}}', '{"method": "SUBSCRIBE"}'),
    *('{"method": "SUBSCRIBE", "params": {"a": 1}}', '{"method": "SUBSCRIBE", "params": [[]]}'),
    *('{"method": "SUBSCRIBE", "params": ["\\ud800@trade"]}', '{"method": "SUBSCRIBE", "params": ["a@b@c@100ms"]}'),
    *('{"method": "time", "params": []}', '{"method": "session.logon", "params": {"apiKey": "\\ud800"}}'),
    *(
        '{"method": "session.logon", "params": {"\\ud800": 1}}',
        '{"method": "session.logon", "params": {"timestamp": null}}',
    ),
    '{"method": "userDataStream.ping", "params": {"apiKey": "x"}}',
)


@pytest.mark.parametrize("path", ["/ws", "/ws-api/v3"])
def test_whatever_is_sent_is_refused_and_no_defect(
    world: World, port: int, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with binance_socket(port, path) as carol:
        for text in ODD:
            carol.connection.send(text)
            assert carol.next()["error"]["code"] != -1000, text
            time.sleep(0.1)
    assert "could not be answered" not in caplog.text


def test_a_book_goes_on_from_the_snapshot_and_differences_are_read_once_for_all(world: World, port: int) -> None:
    with binance_socket(port, "/ws/btcusd@depth@100ms") as one, binance_socket(port) as other:
        other.ask("SUBSCRIBE", ["btcusd@depth"])
        books = []
        for price in range(90, 100):
            world.play(world.alice, f"buy 1 @ {price}")
            if price in (92, 97):
                books.append(LocalBook(read_snapshot(world.symbol)))
        told: list[list[dict[str, Any]]] = [[], []]
        for socket, found in zip((one, other), told, strict=True):
            while not found or found[-1]["u"] < 10:
                found.append(socket.next("depthUpdate"))
        assert told[0] == told[1]
        for book in books:
            for event in told[0]:
                book.apply(event)
            assert book.sides == LocalBook(read_snapshot(world.symbol)).sides


def test_trades_and_the_book_go_on_while_redis_is_away(world: World, port: int, redis: Server) -> None:
    with binance_socket(port, "/ws/btcusd@trade/btcusd@depth") as carol:
        for is_away in (False, True, False):
            if is_away:
                redis.kill()
            elif redis.pid is None:
                redis.start()
            world.play(world.bob, "sell 0.2 @ 100")
            world.play(world.alice, "buy 0.1 @ 100")
            world.play(world.alice, "buy 0.1 @ 100")
        told = [carol.next(timeout=8)]
        # An order that rests, and a taker's and a maker's event for each fill.
        while sum(each["e"] == "trade" for each in told) < 6 or max(each.get("u", 0) for each in told) < 15:
            told.append(carol.next(timeout=8))
        told += carol.waiting("trade", 1.5)
    trades = [each["t"] for each in told if each["e"] == "trade"]
    assert trades == sorted(set(trades))
    assert len(trades) == 6
    changes = [each for each in told if each["e"] == "depthUpdate"]
    assert [each["U"] for each in changes] == [1, *(each["u"] + 1 for each in changes[:-1])]


def test_an_account_is_followed_by_a_listen_key(world: World, port: int) -> None:
    key = open_listen_key(known_key(Signer.of(world.alice, "read").key_id))
    with binance_socket(port, f"/stream?streams={key}/btcusd@trade") as alice:
        world.play(world.bob, "sell 1 @ 100")
        order_id = world.play(world.alice, "buy 3 @ 100", clientOrderId="mine")["orderId"]
        world.play(world.alice, "buy 1 @ 50 ioc")
        world.alice.call("DELETE", f"/orders/{order_id}")
        world.match()
        told = [alice.next()]
        while told[-1]["data"].get("x") != "CANCELED":
            told.append(alice.next())
        told = [event for event in (*told, alice.next()) if event["stream"] == key]
    reports = [each["data"] for each in told if each["data"]["e"] == "executionReport"]
    assert [(each["x"], each["X"], each["z"]) for each in reports] == [
        ("NEW", "NEW", "0.00000000"),
        ("TRADE", "PARTIALLY_FILLED", "1.00000000"),
        ("NEW", "NEW", "0.00000000"),
        ("EXPIRED", "EXPIRED", "0.00000000"),
        ("CANCELED", "CANCELED", "1.00000000"),
    ]
    fill, cancel = reports[1], reports[-1]
    assert (fill["s"], fill["c"], fill["i"], fill["l"], fill["L"], fill["Y"]) == (
        *("BTCUSD", "mine", order_id),
        *("1.00000000", "100.00000000", "100.00000000"),
    )
    assert (fill["n"], fill["N"], fill["m"], fill["V"]) == ("0.00000000", "BTC", False, "EXPIRE_TAKER")
    assert (cancel["C"], cancel["r"], cancel["t"]) == ("mine", "NONE", -1)
    owned = {row["a"]: (row["f"], row["l"]) for each in told for row in each["data"].get("B", [])}
    assert owned == {"BTC": ("1.00000000", "0.00000000"), "USD": ("9900.00000000", "0.00000000")}


@pytest.mark.parametrize("algorithm", ["HMAC", "ED25519"])
def test_an_account_is_followed_by_a_signature_or_a_session(world: World, port: int, algorithm: str) -> None:
    key = Signer.of(world.alice, "read", algorithm=algorithm)
    with binance_socket(port, "/ws-api/v3") as alice:
        assert alice.ask("ping") == {"id": 1, "status": 200, "result": {}}
        assert alice.ask("userDataStream.subscribe")["status"] == 401
        assert alice.ask("session.logon", signed(key))["result"]["apiKey"] == key.key_id
        assert alice.ask("userDataStream.subscribe")["result"] == {"subscriptionId": 0}
        assert alice.ask("userDataStream.subscribe.signature", signed(key))["result"] == {"subscriptionId": 1}
        world.play(world.alice, "buy 1 @ 90")
        told = [alice.next() for _ in range(4)]
        assert sorted((each["subscriptionId"], each["event"]["e"]) for each in told) == [
            *((0, "executionReport"), (0, "outboundAccountPosition")),
            *((1, "executionReport"), (1, "outboundAccountPosition")),
        ]
        assert alice.ask("userDataStream.unsubscribe", {"subscriptionId": 1})["result"] == {}
        assert alice.ask("session.logout")["result"]["userDataStream"] is False
        assert alice.ask("userDataStream.subscribe")["error"]["code"] == -2015
        wrong = {**signed(key), "signature": "00" * 32}
        assert alice.ask("session.logon", wrong)["error"]["code"] == -1022
        listen_key = alice.ask("userDataStream.start", {"apiKey": key.key_id})["result"]["listenKey"]
        assert alice.ask("userDataStream.ping", {"apiKey": key.key_id, "listenKey": listen_key})["result"] == {}
        assert alice.ask("no.such.method")["error"]["code"] == -1020


def signed(key: Signer, **params: Any) -> dict[str, Any]:
    sent = {"apiKey": key.key_id, "timestamp": int(now_ms()), **params}
    written = {name: str(value).lower() if isinstance(value, bool) else value for name, value in sent.items()}
    text = "&".join(f"{name}={written[name]}" for name in sorted(written)).encode()
    return {**sent, "signature": key.sign_text(text)}


def test_orders_are_placed_and_cancelled_by_a_signature_or_a_session(world: World, port: int) -> None:
    key = Signer.of(world.alice, "read", "trade")
    wanted = {"symbol": "BTCUSD", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "90"}
    with binance_socket(port, "/ws-api/v3") as alice, working(world):
        assert alice.ask("order.place", wanted)["status"] == 401
        placed = alice.ask("order.place", signed(key, **wanted, newClientOrderId="mine", returnRateLimits=False))
        assert (placed["status"], placed["result"]["status"], placed["result"]["fills"]) == (200, "NEW", [])
        alice.ask("session.logon", signed(key))
        found = alice.ask("order.status", {"symbol": "BTCUSD", "origClientOrderId": "mine"})["result"]
        assert (found["orderId"], found["price"]) == (placed["result"]["orderId"], "90.00000000")
        gone = alice.ask("order.cancel", {"symbol": "BTCUSD", "orderId": found["orderId"]})["result"]
        assert (gone["status"], gone["origClientOrderId"]) == ("CANCELED", "mine")
        alice.ask("order.place", wanted)
        assert len(alice.ask("openOrders.status", {"symbol": "BTCUSD"})["result"]) == 1
        assert len(alice.ask("openOrders.cancelAll", {"symbol": "BTCUSD"})["result"]) == 1
        refused = alice.ask("order.place", {**wanted, "price": "1000000"})
        assert (refused["status"], refused["error"]["code"]) == (400, -2010)
        assert alice.ask("depth", {"symbol": "BTCUSD"})["result"]["bids"] == []
        assert alice.ask("order.place", {**wanted, "quantity": ["1"]})["error"]["code"] == -1102


def test_an_account_is_shown_to_keys_that_may_read_it_for_as_long_as_they_are_good(world: World, port: int) -> None:
    blind, key = Signer.of(world.alice, "trade"), Signer.of(world.alice, "read")
    listen_key = open_listen_key(known_key(key.key_id))
    with binance_socket(port, "/ws-api/v3") as alice, binance_socket(port, f"/ws/{listen_key}") as other:
        assert alice.ask("userDataStream.subscribe.signature", signed(blind))["error"]["code"] == -2015
        assert alice.ask("userDataStream.start", {"apiKey": blind.key_id})["error"]["code"] == -2015
        assert alice.ask("userDataStream.subscribe.signature", signed(key))["status"] == 200
        world.alice.call("DELETE", f"/keys/{key.key_id}")
        for socket in (alice, other):
            with pytest.raises(ConnectionClosed) as closed:
                socket.next(timeout=8)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
    with pytest.raises(InvalidStatus), binance_socket(port, f"/ws/{listen_key}"):
        pass


@contextlib.contextmanager
def working(world: World) -> Iterator[None]:
    """A worker that matches what comes."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.02):
            if Command.objects.exists():
                world.match()
        connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        over.set()
        worker.join()
