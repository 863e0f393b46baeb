"""Amends and replacements that the engine gives up, and those that race with fills, cancels and each other."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.test import override_settings

from commands.models import Command
from core import market as core_market
from markets.services import change_market, read_market
from matching.models import DeadLetter
from operations.dead_letters import NotSafe, requeue
from orders.models import Order
from tests.integration.test_amend import amend, steps, told
from tests.integration.test_batch import in_threads
from tests.integration.test_replace import ended, replace
from tests.support.orders import checks, full, quick, replay
from tests.support.world import World, fund
from users.acts import Actor

pytestmark = pytest.mark.dialect


def broken(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("nobody thought of this")


@pytest.fixture
def impatient(transactional_db: None, settings: Any) -> World:
    settings.ENGINE_RETRY_MS = []
    return World.make()


def requeued() -> str:
    letter = DeadLetter.objects.get()
    with pytest.raises(NotSafe) as refused:
        requeue(letter.pk, Actor(1, "127.0.0.1", "again"))
    return f"{letter.kind}: {refused.value}"


def test_an_amend_that_fails_leaves_its_order_as_it_was(impatient: World, monkeypatch: Any) -> None:
    alice = impatient.alice
    order = impatient.play(alice, "buy 2 @ 100")
    amend(alice, order, price="101")
    with monkeypatch.context() as patch:
        patch.setattr(core_market, "amend", broken)
        impatient.match()
    assert (steps(alice, order), alice.holds("USD")) == ("open, open amend_refused", "9800 200")
    assert requeued().startswith(f"AMEND: AMEND of order {order['orderId']} cannot be requeued")
    amend(alice, order, price="101")
    impatient.match()
    assert impatient.depth() == "2@101 |"


@override_settings(ENGINE_FILLS_PER_TRANSACTION=1)
def test_an_amended_taker_that_fails_on_its_way_is_failed(impatient: World, monkeypatch: Any) -> None:
    """What was frozen for it has become its own in its first transaction, and is released once."""
    alice, bob = impatient.alice, impatient.bob
    for price in (101, 102):
        impatient.play(bob, f"sell 1 @ {price}")
    order = impatient.play(alice, "buy 3 @ 100")
    amend(alice, order, price="102")
    # Only what goes on in a second transaction comes this way.
    with monkeypatch.context() as patch:
        patch.setattr(core_market, "place", broken)
        impatient.match()
    assert steps(alice, order) == "open, open amended, partially_filled, failed internal_error"
    assert (alice.holds("USD"), impatient.depth()) == ("9899 0", "| 1@102")


@override_settings(ENGINE_FILLS_PER_TRANSACTION=1)
def test_an_amended_leg_that_fails_on_its_way_ends_the_other_one(impatient: World, monkeypatch: Any) -> None:
    """It has traded nothing yet: self-trade prevention has taken up its first transaction."""
    alice = impatient.alice
    fund(alice.user, BTC="2")
    change_market(read_market(impatient.symbol), self_trade_prevention="EXPIRE_MAKER")
    body = {"side": "BUY", "quantity": "2", "price": "80", "stopPrice": "110", "stopLimitPrice": "115"}
    legs = alice.call("POST", "/orders/oco", {"symbol": impatient.symbol, **body}).body["data"]["orders"]
    for price in (101, 102):
        impatient.play(alice, f"sell 1 @ {price}")
    assert told(amend(alice, legs[0], price="103")) == "202"
    # Only what goes on in a second transaction comes this way.
    with monkeypatch.context() as patch:
        patch.setattr(core_market, "place", broken)
        impatient.match()
    assert steps(alice, legs[0]) == "open, open amended, failed internal_error"
    assert (steps(alice, legs[1]), alice.holds("USD")) == ("waiting, cancelled oco", "10000 0")
    assert checks(full(), quick(), replay()) == set()


def test_a_replacement_that_fails_leaves_the_old_order(impatient: World, monkeypatch: Any) -> None:
    alice = impatient.alice
    old = impatient.play(alice, "buy 2 @ 100")
    new = replace(impatient, alice, old, "buy 3 @ 100").body["data"]["orderId"]
    with monkeypatch.context() as patch:
        patch.setattr(core_market, "place", broken)
        impatient.match()
    assert (ended(alice, new), ended(alice, old["orderId"])) == ("3 failed internal_error", "2 open +")
    assert alice.holds("USD") == "9800 200"
    assert requeued().startswith("REPLACE: ")


def test_two_at_once_are_paid_for_once_each(impatient: World) -> None:
    """Each needs 100 more than the order has, and 150 are available."""
    alice = impatient.alice
    order = impatient.play(alice, "buy 98.5 @ 100")
    answers = in_threads(2, lambda number: told(amend(alice, order, quantity=f"99.{4 + number}")))
    # The second knows of the first if it was stored before.
    assert sorted(answers) in (["202", "202"], ["202", "400 INSUFFICIENT_FUNDS"])
    impatient.match()
    held = Order.objects.get(pk=order["orderId"])
    assert (held.frozen, Command.objects.count()) == (100 * held.quantity, 0)
    assert alice.holds("USD") == f"{10000 - held.frozen:f} {held.frozen:f}".replace(".00000000", "")


def test_amends_cancels_fills_and_replacements_race(impatient: World) -> None:
    """Whatever comes first, every balance is what its orders and commands hold: the audit counts it afterwards."""
    alice, bob = impatient.alice, impatient.bob
    fund(alice.user, BTC="50")
    mine = [impatient.play(alice, f"{side} 3 @ {price}") for side, price in (("buy", 95), ("buy", 96), ("sell", 104))]

    def run(number: int) -> None:
        acts: list[Callable[[int], Any]] = [
            lambda turn: amend(alice, mine[turn % 3], price=str(95 + (number * 7 + turn) % 10)),
            lambda turn: amend(alice, mine[turn % 3], quantity=str(1 + (turn * 3 + number) % 5)),
            lambda turn: replace(impatient, alice, mine[turn % 3], f"buy 2 @ {95 + turn} expire-maker"),
            lambda turn: impatient.place(bob, f"sell 1 @ {94 + turn % 10}"),
            lambda turn: alice.call("DELETE", f"/orders/{mine[turn % 3]['orderId']}") if turn > 5 else None,
            lambda turn: impatient.match(),
        ]
        for turn in range(8):
            with suppress(Exception):
                acts[number](turn)

    in_threads(6, run)
    impatient.match()
    assert not DeadLetter.objects.exists()
    assert not Order.objects.filter(status="FAILED").exists()
