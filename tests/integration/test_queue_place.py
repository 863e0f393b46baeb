"""Where a resting order stands in its queue, over HTTP."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orders import queue_place
from orders.models import Order
from tests.support.world import Person, World, fund

pytestmark = pytest.mark.dialect


def told(who: Person, order_id: int) -> str:
    """What is ahead, and what of it at its own price: "3 of 2, 1 of 4 in 3@100"."""
    place = who.get(f"/orders/{order_id}/queue")
    level = place["level"]
    own = f"{level['ahead']} of {level['quantity']} in {level['orderCount']}@{level['price']}"
    return f"{place['ahead']} of {place['aheadOrders']}, {own}"


def rests(world: World, who: Person, line: str) -> int:
    order: int = world.play(who, line)["orderId"]
    return order


def test_better_prices_and_those_before_it_are_ahead(world: World) -> None:
    fund(world.carol.user, USD="10000")
    fund(world.bob.user, BTC="10")
    first, second = rests(world, world.alice, "buy 1 @ 100"), rests(world, world.carol, "buy 2 @ 100")
    rests(world, world.carol, "buy 4 @ 99")
    best = rests(world, world.carol, "buy 8 @ 100.01")
    rests(world, world.bob, "sell 3 @ 110")
    assert told(world.alice, first) == "8 of 1, 0 of 3 in 2@100"
    assert told(world.carol, second) == "9 of 2, 1 of 3 in 2@100"
    assert told(world.carol, best) == "0 of 0, 0 of 8 in 1@100.01"
    world.play(world.bob, "sell 8.5 @ 100")
    assert told(world.carol, second) == "0.5 of 1, 0.5 of 2.5 in 2@100"
    world.alice.call("DELETE", f"/orders/{first}")
    world.match()
    assert told(world.carol, second) == "0 of 0, 0 of 2 in 1@100"


def test_asks_are_better_when_they_are_cheaper(world: World) -> None:
    rests(world, world.bob, "sell 1 @ 110")
    last = rests(world, world.bob, "sell 2 @ 110")
    rests(world, world.bob, "sell 3 @ 109")
    rests(world, world.bob, "sell 4 @ 111")
    assert told(world.bob, last) == "4 of 2, 1 of 3 in 2@110"


def test_a_later_place_and_what_is_hidden_count_as_the_book_has_them(world: World) -> None:
    """As the kinds that have these leave them: an order that went to the end, and an iceberg with its tip."""
    first, second = (rests(world, world.bob, "sell 4 @ 110") for _ in range(2))
    Order.objects.filter(id=first).update(priority=9, tip=Decimal("0.5"), display_quantity=Decimal("0.5"))
    assert told(world.bob, second) == "0 of 0, 0 of 4.5 in 2@110"
    assert told(world.bob, first) == "4 of 1, 4 of 4.5 in 2@110"
    Order.objects.filter(id=first).update(priority=None, tip=None, display_quantity=None)


def test_no_more_orders_are_counted_than_the_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its own price on: what is at better prices beyond the limit is left out, and the answer says so."""
    for price in (107, 108, 109, 110):
        last = rests(world, world.bob, f"sell 1 @ {price}")
    monkeypatch.setattr(queue_place, "MOST_COUNTED", 4)
    assert "capped" not in world.bob.get(f"/orders/{last}/queue")
    monkeypatch.setattr(queue_place, "MOST_COUNTED", 3)
    assert told(world.bob, last) == "2 of 2, 0 of 1 in 1@110"
    assert world.bob.get(f"/orders/{last}/queue")["capped"] is True


def refused(answer: Any) -> str:
    return f"{answer.status_code} {answer.body['error']}"


def test_only_the_owners_resting_order_has_a_place(world: World) -> None:
    order_id = world.place(world.bob, "sell 1 @ 110").body["data"]["orderId"]
    path = f"/orders/{order_id}/queue"
    assert refused(world.bob.call("GET", path)) == "409 ORDER_NOT_RESTING"
    world.match()
    assert refused(world.alice.call("GET", path)) == "404 ORDER_NOT_FOUND"
    with CaptureQueriesContext(connection) as statements:
        assert world.bob.call("GET", path).body["asOf"] == {world.symbol: 1}
    assert len(statements) == 2, "the order, and what is ahead"
    world.bob.call("DELETE", f"/orders/{order_id}")
    world.match()
    assert refused(world.bob.call("GET", path)) == "409 ORDER_CLOSED"
