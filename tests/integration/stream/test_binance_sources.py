"""What one process does for all who follow a market by Binance's streams, and what an account is told."""

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from base.web.keys.known import known_key
from binance_api.listen_keys import close_listen_key, open_listen_key
from binance_api.streams import candle_streams, session
from tests.integration.stream.binance import binance_socket
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
