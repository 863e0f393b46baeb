"""Amends over HTTP: what is refused, what is frozen, who trades first then, and what streams and rows say of it."""

from decimal import Decimal
from typing import Any

import pytest

from commands.models import Command
from core.types import MarketStatus
from matching import books
from orders.feed import stored_updates
from orders.models import Order, OrderEvent
from tests.support.orders import checks, full, replay
from tests.support.world import Person, World, fund, outcome, stored_rows
from users.models import User


def told(answer: Any) -> str:
    """The status, and what was refused of which field: "400 QUANTITY_BELOW_FILLED quantity"."""
    body = answer.body
    named = (body.get("data") or {}).get("field", "") if isinstance(body.get("data"), dict) else ""
    return f"{answer.status_code} {body.get('error', '')} {named}".strip()


def amend(who: Person, order: dict[str, Any], **fields: str) -> Any:
    return who.call("PATCH", f"/orders/{order['orderId']}", fields)


def steps(who: Person, order: dict[str, Any]) -> str:
    """The order's timeline: "open, open amended"."""
    events = who.get(f"/orders/{order['orderId']}/events")
    return ", ".join(" ".join(filter(None, (each["status"], each["reason"]))).lower() for each in events)


@pytest.mark.dialect
def test_an_order_is_amended(world: World) -> None:
    alice, bob = world.alice, world.bob
    order = world.play(alice, "buy 2 @ 100")
    world.play(alice, "buy 1 @ 100")
    answer = amend(alice, order, price="101", quantity="3")
    assert answer.body["data"] == {
        "orderId": order["orderId"],
        "status": "OPEN",
        "message": "Amend accepted for processing",
    }
    # The funds are frozen at once, the rest is the worker's.
    assert (told(answer), alice.holds("USD"), world.depth()) == ("202", "9597 403", "3@100 |")
    world.match()
    changed = alice.get(f"/orders/{order['orderId']}")
    assert (changed["price"], changed["quantity"], outcome(changed)) == ("101", "3", "3 open +")
    assert (steps(alice, order), world.depth()) == ("open, open amended", "3@101 1@100 |")
    # Less keeps the place, and gives back what it does not need.
    world.play(alice, "buy 1 @ 101")
    assert told(amend(alice, order, quantity="2")) == "202"
    world.match()
    assert (alice.holds("USD"), world.depth()) == ("9597 403", "3@101 1@100 |")
    world.play(bob, "sell 2 @ 101")
    assert outcome(alice.get(f"/orders/{order['orderId']}")) == "0 filled"
    assert steps(alice, order) == "open, open amended, open amended, filled"


@pytest.mark.dialect
def test_an_amend_that_crosses_takes(world: World) -> None:
    alice, bob = world.alice, world.bob
    sale = world.play(bob, "sell 5 @ 105")
    world.play(alice, "buy 2 @ 100")
    world.play(alice, "buy 2 @ 99")
    assert told(amend(bob, sale, price="99")) == "202"
    world.match()
    assert (world.depth(), outcome(bob.get(f"/orders/{sale['orderId']}"))) == ("| 1@99", "1 partially_filled +")
    assert [fill["role"] for fill in bob.get(f"/orders/{sale['orderId']}/trades")] == ["TAKER", "TAKER"]
    assert steps(bob, sale) == "open, open amended, partially_filled, partially_filled"
    assert bob.holds("BTC") == "5 1"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "400 NOTHING_TO_AMEND"),
        ({"price": "100.00", "quantity": "2"}, "400 NOTHING_TO_AMEND"),
        ({"quantity": "1"}, "400 QUANTITY_BELOW_FILLED quantity"),
        ({"quantity": "0.5"}, "400 QUANTITY_BELOW_FILLED quantity"),
        ({"quantity": "2.00001"}, "400 QUANTITY_OFF_LOT quantity"),
        ({"price": "100.001"}, "400 PRICE_OFF_TICK price"),
        ({"price": "200"}, "400 PRICE_OUT_OF_BAND price"),
        ({"price": "1", "quantity": "1.5"}, "400 NOTIONAL_TOO_SMALL quantity"),
        ({"quantity": "60"}, "400 QUANTITY_TOO_LARGE quantity"),
        ({"price": "109.9", "quantity": "49"}, "202"),
        ({"price": "110", "quantity": "50"}, "202"),
        ({"stopPrice": "90"}, "400 FIELD_NOT_ALLOWED stopPrice"),
        ({"displayQuantity": "1"}, "400 FIELD_NOT_ALLOWED displayQuantity"),
        ({"price": "-1"}, "400 MUST_BE_POSITIVE price"),
        ({"price": 101}, "400 DECIMAL_STRING_REQUIRED price"),
        ({"side": "SELL"}, "400 FIELD_UNKNOWN side"),
    ],
)
def test_what_is_refused_stores_nothing(db: None, fields: dict[str, Any], expected: str) -> None:
    world = World.make(price_band=Decimal("0.1"), min_notional=Decimal(5), max_quantity=Decimal(50))
    order = world.play(world.alice, "buy 2 @ 100")
    world.play(world.bob, "sell 1 @ 100")
    before, held = stored_rows(), world.alice.holds("USD")
    assert told(amend(world.alice, order, **fields)) == expected
    if expected != "202":
        assert (stored_rows(), world.alice.holds("USD")) == (before, held)


@pytest.mark.dialect
def test_funds_and_whose_order_it_is(world: World) -> None:
    alice, bob = world.alice, world.bob
    order = world.play(alice, "buy 2 @ 100")
    before = stored_rows()
    refused = amend(alice, order, quantity="101")
    assert (told(refused), refused.body["data"]["required"]) == ("400 INSUFFICIENT_FUNDS", "9900")
    assert told(amend(bob, order, quantity="1")) == "404 ORDER_NOT_FOUND"
    assert told(amend(world.staff, order, quantity="1")) == "404 ORDER_NOT_FOUND"
    assert told(alice.call("PATCH", "/orders/x", {"quantity": "1"})) == "404 ORDER_NOT_FOUND"
    world.switch(MarketStatus.HALTED)
    world.match()
    assert told(amend(alice, order, quantity="1")) == "409 MARKET_NOT_TRADING"
    alice.call("DELETE", f"/orders/{order['orderId']}")
    world.match()
    assert told(amend(alice, order, quantity="1")) == "409 ORDER_CLOSED"
    assert stored_rows().keys() == before.keys()
    assert alice.holds("USD") == "10000 0"


def test_the_second_of_two_goes_by_the_first(world: World) -> None:
    """Both wait: the second takes back what the first gives, and so needs what the first releases."""
    alice = world.alice
    order = world.play(alice, "buy 2 @ 100")
    assert told(amend(alice, order, price="50")) == "202"
    assert told(amend(alice, order, price="50")) == "400 NOTHING_TO_AMEND"
    assert told(amend(alice, order, price="100")) == "202"
    assert alice.holds("USD") == "9700 300"
    world.match()
    assert (steps(alice, order), alice.holds("USD")) == ("open, open amended, open amended", "9800 200")


def test_no_more_than_ten_of_an_order_wait(world: World) -> None:
    order = world.play(world.alice, "buy 2 @ 100")
    assert [told(amend(world.alice, order, price=str(99 - n))) for n in range(10)] == ["202"] * 10
    assert told(amend(world.alice, order, price="50")) == "429 TOO_MANY_WAITING"
    world.match()
    assert world.depth() == "2@90 |"


@pytest.mark.dialect
def test_what_was_filled_or_closed_meanwhile_is_refused_by_the_worker(world: World) -> None:
    alice, bob = world.alice, world.bob
    filled, closed = world.play(alice, "buy 2 @ 100"), world.play(alice, "buy 1 @ 99")
    world.place(bob, "sell 1 @ 100")
    alice.call("DELETE", f"/orders/{closed['orderId']}")
    assert told(amend(alice, filled, quantity="1")) == "202"
    assert told(amend(alice, closed, quantity="5")) == "202"
    assert alice.holds("USD") == "9305 695"
    world.match()
    assert steps(alice, filled) == "open, partially_filled, partially_filled amend_refused"
    assert steps(alice, closed) == "open, cancelled user_cancelled, cancelled amend_refused"
    ended = alice.get(f"/orders/{closed['orderId']}")
    assert (ended["reason"], ended["quantity"], alice.holds("USD")) == ("USER_CANCELLED", "1", "9800 100")


def test_a_market_that_was_halted_meanwhile_amends_nothing(world: World) -> None:
    order = world.play(world.alice, "buy 2 @ 100")
    amend(world.alice, order, quantity="5")
    # The command to halt was there before.
    world.switch(MarketStatus.HALTED)
    Command.objects.filter(kind="HALT").update(id=1)
    world.match()
    assert (steps(world.alice, order), world.alice.holds("USD")) == ("open, open amend_refused", "9800 200")


@pytest.mark.dialect
@pytest.mark.parametrize("cache", [True, False])
def test_an_amended_taker_goes_on_in_the_next_transaction(world: World, settings: Any, cache: bool) -> None:
    settings.ENGINE_FILLS_PER_TRANSACTION, settings.ENGINE_BOOK_CACHE = 1, cache
    alice, bob = world.alice, world.bob
    for price in (101, 102, 103):
        world.play(bob, f"sell 1 @ {price}")
    order = world.play(alice, "buy 4 @ 100")
    assert told(amend(alice, order, price="103")) == "202"
    run = world.match()
    assert (run.batches, run.trades) == (3, 3)
    assert (world.depth(), alice.holds("USD")) == ("1@103 |", "9591 103")
    assert Command.objects.count() == 0


def updates(who: Person) -> list[dict[str, Any]]:
    """All order updates of a user, as they are read again from the rows."""
    return [message.data for message in stored_updates(OrderEvent.objects.filter(user=who.user).order_by("sequence"))]


def test_updates_read_again_are_those_that_were_sent(world: World, monkeypatch: Any) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr("matching.prepare.publish_updates", lambda made, **_: sent.extend(m.data for m in made))
    alice, bob = world.alice, world.bob
    order, other = world.play(alice, "buy 2 @ 100"), world.play(alice, "buy 1 @ 98")
    world.play(bob, "sell 0.5 @ 100")
    # All in one batch: what is plain until then, what changes, and what is closed.
    amend(alice, order, quantity="3")
    world.place(bob, "sell 1 @ 100")
    amend(alice, order, price="99", quantity="1.8")
    amend(alice, other, quantity="0.5")
    world.match()
    books.forget(world.symbol)
    world.place(bob, "sell 0.1 @ 98")
    amend(alice, order, quantity="1.7")
    world.place(bob, "sell 5 @ 98")
    amend(alice, order, quantity="9")
    amend(alice, other, price="99")
    world.match()
    mine = [each for each in sent if each["userId"] == alice.user.id]
    assert mine == updates(alice)
    told_of = [
        (each["price"], each["quantity"], each["filledQuantity"])
        for each in mine
        if each["orderId"] == order["orderId"]
    ]
    assert told_of[:4] == [("100", "2", "0"), ("100", "2", "0.5"), ("100", "3", "0.5"), ("100", "3", "1.5")]
    assert mine[-1]["reason"] == "AMEND_REFUSED"
    assert mine[-1]["closedAt"] == alice.get(f"/orders/{other['orderId']}")["closedAt"]


def test_the_place_is_kept_over_a_restart(world: World) -> None:
    alice, bob = world.alice, world.bob
    first, second = world.play(alice, "buy 1 @ 100"), world.play(alice, "buy 1 @ 100")
    third = world.play(alice, "buy 2 @ 100")
    amend(alice, first, quantity="2")
    amend(alice, third, quantity="1")
    world.match()
    books.forget(world.symbol)
    world.play(bob, "sell 2 @ 100")
    assert [outcome(alice.get(f"/orders/{each['orderId']}")) for each in (first, second, third)] == [
        "2 open +",
        "0 filled",
        "0 filled",
    ]


def test_limits_count_what_an_amend_would_add(world: World) -> None:
    alice = world.alice
    body = {"openNotional": {"USD": "500"}, "reason": "small"}
    order = world.play(alice, "buy 2 @ 100")
    sale = world.play(alice, "buy 1 @ 90")
    assert world.staff.call("PATCH", f"/users/{alice.user.id}/limits", body).status_code == 200
    assert told(amend(alice, order, quantity="4.2")) == "400 LIMIT_EXCEEDED"
    assert told(amend(alice, order, quantity="4")) == "202"
    # It waits, and counts all the same.
    assert told(amend(alice, sale, price="101")) == "400 LIMIT_EXCEEDED"
    assert told(amend(alice, sale, price="80")) == "202"
    User.objects.filter(pk=alice.user.pk).update(is_blocked=True)
    assert told(amend(alice, order, quantity="1")) == "403 ACCOUNT_BLOCKED"


def test_a_sell_needs_what_it_sells(world: World) -> None:
    fund(world.bob.user, USD="1")
    sale = world.play(world.bob, "sell 9 @ 100")
    assert told(amend(world.bob, sale, quantity="10.0001")) == "400 INSUFFICIENT_FUNDS"
    assert told(amend(world.bob, sale, price="110", quantity="10")) == "202"
    world.match()
    assert (world.bob.holds("BTC"), world.depth()) == ("0 10", "| 10@110")
    assert Order.objects.get(pk=sale["orderId"]).placed_quantity == 9


def test_a_stop_is_amended_while_it_waits(world: World, monkeypatch: Any) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr("matching.prepare.publish_updates", lambda made, **_: sent.extend(m.data for m in made))
    alice, bob = world.alice, world.bob
    world.play(bob, "sell 0.1 @ 100")
    world.play(alice, "buy 0.1 @ 100")
    world.play(alice, "buy 3 @ 90")
    stop = world.play(bob, "sell 1 @ 88 stop 95")
    trailing = world.play(bob, "sell 1 @ market trail 5")
    assert told(amend(bob, trailing, stopPrice="96")) == "400 FIELD_NOT_ALLOWED stopPrice"
    assert told(amend(bob, stop, stopPrice="95.001")) == "400 PRICE_OFF_TICK stopPrice"
    assert told(amend(bob, stop, stopPrice="97", quantity="2")) == "202"
    assert told(amend(bob, trailing, quantity="0.5")) == "202"
    world.match()
    changed = bob.get(f"/orders/{stop['orderId']}")
    assert (changed["stopPrice"], outcome(changed), bob.holds("BTC")) == ("97", "2 waiting +", "7.4 2.5")
    # One that is reached already fires at once.
    assert told(amend(bob, stop, stopPrice="100")) == "202"
    world.match()
    assert steps(bob, stop) == "waiting, waiting amended, waiting amended, triggered triggered, filled"
    # It took the last price to where the other one stood.
    assert steps(bob, trailing) == "waiting, waiting amended, triggered triggered, filled"
    assert (world.depth(), bob.holds("BTC")) == ("0.5@90 |", "7.4 0")
    assert [each for each in sent if each["userId"] == bob.user.id] == updates(bob)
    assert told(amend(bob, stop, stopPrice="99")) == "409 ORDER_CLOSED"


def test_a_stop_that_was_reached_meanwhile_has_no_other_stop_price(world: World) -> None:
    alice, bob = world.alice, world.bob
    for who, line in ((bob, "sell 0.1 @ 100"), (alice, "buy 0.1 @ 100"), (alice, "buy 0.1 @ 95")):
        world.play(who, line)
    stop = world.play(bob, "sell 1 @ 98 stop 95")
    world.place(bob, "sell 0.1 @ 95")
    assert told(amend(bob, stop, stopPrice="90", quantity="2")) == "202"
    assert told(amend(bob, stop, quantity="3")) == "202"
    world.match()
    assert steps(bob, stop) == "waiting, triggered triggered, open, open amend_refused, open amended"
    changed = bob.get(f"/orders/{stop['orderId']}")
    assert (changed["stopPrice"], changed["quantity"], bob.holds("BTC")) == ("95", "3", "6.8 3")
    assert changed["triggeredAt"] is not None
    # Also where the book has been read again since.
    books.forget(world.symbol)
    assert told(amend(bob, stop, stopPrice="90")) == "400 FIELD_NOT_ALLOWED stopPrice"
    assert checks(replay(), full()) == set()


def test_an_iceberg_is_amended(world: World) -> None:
    alice, bob = world.alice, world.bob
    order = world.play(bob, "sell 9 @ 100", displayQuantity="3")
    world.play(bob, "sell 1 @ 100")
    assert told(amend(bob, order, displayQuantity="9")) == "400 DISPLAY_QUANTITY_TOO_LARGE displayQuantity"
    # A smaller tip holds at once, a larger one from the next refill, and both keep the place.
    for display, depth in (("2", "| 3@100"), ("4", "| 3@100")):
        assert told(amend(bob, order, displayQuantity=display)) == "202"
        world.match()
        assert world.depth() == depth
    world.play(alice, "buy 2 @ 100")
    assert world.depth() == "| 5@100"
    # At another price it begins with a fresh tip.
    assert told(amend(bob, order, price="101", quantity="8")) == "202"
    world.match()
    assert (world.depth(), bob.holds("BTC")) == ("| 1@100 4@101", "1 7")
