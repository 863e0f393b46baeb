"""What one process does for all who follow a market by Binance's streams, and what an account is told."""

import asyncio
import json
import socket
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from base.streams.messages import data_text
from base.streams.open_stream import Outgoing
from base.web.keys.known import known_key
from binance_api.listen_keys import close_listen_key, open_listen_key
from binance_api.streams import candle_streams, session, sources
from binance_api.streams.account import AccountWriter, follow_account
from exchange import asgi
from orders.feed import stored_updates
from orders.models import OrderEvent
from tests.integration.stream.binance import binance_socket
from tests.integration.stream.cast import until_true
from tests.support.signing import Signer
from tests.support.world import World

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(transactional_db: None) -> World:
    return World.make()


def test_a_candle_of_a_market_in_which_nothing_happens_is_closed(
    world: World, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.alice, "buy 1 @ 100")
    ahead = timedelta()
    clock = SimpleNamespace(now=lambda zone: datetime.now(UTC) + ahead)
    monkeypatch.setattr(candle_streams, "datetime", clock)
    with binance_socket(port, "/ws/btcusd@trade") as carol:
        # The market's source waits for a message.
        time.sleep(1.5)
        carol.ask("SUBSCRIBE", ["btcusd@kline_1m"])
        opened = carol.next("kline")["k"]
        ahead = timedelta(minutes=1)
        closed = carol.next("kline", timeout=4)["k"]
    assert (opened["x"], closed["x"], closed["t"]) == (False, True, opened["t"])


def test_nothing_is_left_of_clients_that_went(world: World, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither of those who leave their streams, nor of those whose connection is cut."""
    monkeypatch.setattr(sources, "LINGER_SECONDS", 0.1)
    streams = ["btcusd@depth", "btcusd@kline_1m", "btcusd@trade", "btcusd@ticker"]
    for number in range(8):
        with binance_socket(port, f"/ws/{streams[number % 4]}") as carol:
            carol.ask("SUBSCRIBE", streams)
            if number % 2:
                carol.ask("UNSUBSCRIBE", streams[:2])
            carol.connection.socket.shutdown(socket.SHUT_RDWR)
    followed = asgi.binance_sockets._sources._sources
    assert until_true(lambda: not followed and not asgi.hub._streams), (followed, asgi.hub._streams)


def test_a_client_learns_that_its_listen_key_is_over(world: World, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "KEY_SECONDS", 0.3)
    key = known_key(Signer.of(world.alice, "read").key_id)
    text = open_listen_key(key)
    with binance_socket(port, f"/stream?streams={text}/btcusd@trade") as alice:
        world.play(world.alice, "buy 1 @ 90")
        assert alice.next()["data"]["e"] == "executionReport"
        close_listen_key(text, key)
        over = alice.next()
        while over["data"]["e"] != "listenKeyExpired":
            over = alice.next()
        assert (over["stream"], over["data"]["listenKey"]) == (text, text)
        assert alice.ask("LIST_SUBSCRIPTIONS")["result"] == ["btcusd@trade"]
        world.play(world.alice, "buy 1 @ 91")
        assert alice.waiting("", 0.7) == []


def test_an_order_that_takes_after_it_rested_is_not_told_as_new_once_more(world: World, port: int) -> None:
    text = open_listen_key(known_key(Signer.of(world.alice, "read").key_id))
    with binance_socket(port, f"/ws/{text}") as alice:
        order_id = world.play(world.alice, "buy 2 @ 90")["orderId"]
        world.play(world.bob, "sell 1 @ 100")
        world.alice.call("PATCH", f"/orders/{order_id}", {"price": "100"})
        world.match()
        told: list[Any] = [alice.next("executionReport")]
        while told[-1]["x"] != "TRADE":
            told.append(alice.next("executionReport"))
    assert [(each["x"], each["X"]) for each in told] == [
        ("NEW", "NEW"),
        ("REPLACED", "NEW"),
        ("TRADE", "PARTIALLY_FILLED"),
    ]


def test_what_moved_since_a_client_was_let_in_is_told_however_early(world: World) -> None:
    """Also where the first order comes before anything is sent."""
    writers: list[AccountWriter] = []

    async def follow(name: str, feed: Any, writer: AccountWriter) -> None:
        writers.append(writer)

    caller: Any = SimpleNamespace(id=world.alice.user.pk, credential=None, admit=lambda _: None)
    taken: Any = SimpleNamespace(follow=follow)
    asyncio.run(follow_account(taken, "0", caller, lambda text: text))
    world.play(world.alice, "buy 1 @ 90")
    (update,) = stored_updates(list(OrderEvent.objects.all()))
    early = [Outgoing("connected", "{}", None), Outgoing(update.type, data_text(update.data), None)]
    told = [json.loads(text) for text in asyncio.run(writers[0].frames(early))]
    assert [each["e"] for each in told] == ["executionReport", "outboundAccountPosition"]
    assert told[1]["B"] == [{"a": "USD", "f": "9910.00000000", "l": "90.00000000"}]
