"""Replacing over HTTP: cancel and place in one command, with the funds of the old order."""

from typing import Any

import pytest

from commands.models import Command
from core.types import MarketStatus
from markets.services import change_market, create_market, read_market
from orders.models import Order
from tests.integration.test_amend import told
from tests.support.orders import checks, full
from tests.support.tape import parse
from tests.support.world import Person, World, outcome, stored_rows


def replace(world: World, who: Person, order: dict[str, Any], line: str, **more: Any) -> Any:
    return who.call("POST", f"/orders/{order['orderId']}/replace", parse(line).body(world.symbol) | more)


def ended(who: Person, order_id: int) -> str:
    return outcome(who.get(f"/orders/{order_id}"))


@pytest.mark.dialect
def test_an_order_takes_the_place_of_another_with_its_funds(world: World) -> None:
    alice, bob = world.alice, world.bob
    old = world.play(alice, "buy 99 @ 100")
    world.play(bob, "sell 1 @ 105")
    answer = replace(world, alice, old, "buy 95 @ 105", clientOrderId="new")
    placed = answer.body["data"]
    assert (told(answer), placed["replaces"], placed["status"]) == ("202", old["orderId"], "PENDING")
    # What it needs beside what the old one has.
    assert (alice.holds("USD"), checks(full())) == ("25 9975", set())
    assert ended(alice, placed["orderId"]) == "95 pending +"
    world.match()
    assert ended(alice, old["orderId"]) == "99 cancelled user_cancelled"
    assert ended(alice, placed["orderId"]) == "94 partially_filled +"
    assert (world.depth(), alice.holds("USD")) == ("94@105 |", "25 9870")
    # The same request again, though the old one is closed and the new one has been matched.
    again = replace(world, alice, old, "buy 95.0 @ 105", clientOrderId="new")
    assert (again.body["data"], again["Idempotent-Replayed"]) == (placed, "true")
    assert (
        told(replace(world, alice, old, "buy 94 @ 105", clientOrderId="new"))
        == "422 CLIENT_ORDER_ID_REUSED clientOrderId"
    )
    assert told(world.place(alice, "buy 95 @ 105", clientOrderId="new")) == "422 CLIENT_ORDER_ID_REUSED clientOrderId"
    assert Command.objects.count() == 0


@pytest.mark.dialect
def test_nothing_to_replace(world: World) -> None:
    alice = world.alice
    old = world.play(alice, "buy 1 @ 100")
    # Twice in one moment: the second finds nothing.
    first, second = (replace(world, alice, old, "buy 2 @ 100").body["data"]["orderId"] for _ in range(2))
    world.match()
    assert [ended(alice, each) for each in (first, second)] == ["2 open +", "2 rejected nothing_to_replace"]
    # Closed already: accepted all the same.
    third = replace(world, alice, old, "buy 1 @ 90")
    world.match()
    assert (told(third), ended(alice, third.body["data"]["orderId"])) == ("202", "1 rejected nothing_to_replace")
    assert alice.holds("USD") == "9800 200"


@pytest.mark.dialect
def test_funds_that_do_not_suffice_by_then(world: World) -> None:
    """The old one is filled in part before, and less is left of its funds than the new one counted on."""
    alice, bob = world.alice, world.bob
    old = world.play(alice, "buy 99 @ 100")
    world.place(bob, "sell 2 @ 100")
    new = replace(world, alice, old, "buy 99 @ 100").body["data"]["orderId"]
    world.match()
    assert ended(alice, new) == "99 rejected insufficient_funds"
    assert ended(alice, old["orderId"]) == "97 cancelled user_cancelled"
    assert (alice.holds("USD"), alice.holds("BTC")) == ("9800 0", "2 0")
    # With enough available the same is no matter.
    old = world.play(alice, "buy 50 @ 100")
    world.place(bob, "sell 2 @ 100")
    new = replace(world, alice, old, "buy 50 @ 100").body["data"]["orderId"]
    world.match()
    assert (ended(alice, new), alice.holds("USD")) == ("50 open +", "4600 5000")


@pytest.mark.parametrize(
    ("line", "more", "expected"),
    [
        ("buy 1 @ 100", {"symbol": "ETH-USD"}, "400 OTHER_SYMBOL symbol"),
        ("buy 1 @ 100", {"symbol": "NO-SUCH"}, "400 MARKET_NOT_FOUND symbol"),
        ("buy 1 @ 100.001", {}, "400 PRICE_OFF_TICK price"),
        ("buy 200 @ 100", {}, "400 INSUFFICIENT_FUNDS"),
        ("sell 1 @ 100", {}, "400 INSUFFICIENT_FUNDS"),
        ("buy 1 @ 100", {"userId": 1}, "403 NOT_YOUR_ACCOUNT"),
    ],
)
def test_what_is_refused_leaves_the_old_one_alone(world: World, line: str, more: dict[str, Any], expected: str) -> None:
    steps = {"tick_size": world.market.tick_size, "lot_size": world.market.lot_size}
    create_market(symbol="ETH-USD", base="ETH", quote="USD", **steps)
    old = world.play(world.alice, "buy 1 @ 100")
    more = more | ({"userId": world.bob.user.id} if "userId" in more else {})
    before = stored_rows()
    assert told(replace(world, world.alice, old, line, **more)) == expected
    assert told(replace(world, world.bob, old, line)) in ("404 ORDER_NOT_FOUND", "400 PRICE_OFF_TICK price")
    assert stored_rows() == before
    world.match()
    assert world.depth() == "1@100 |"


@pytest.mark.dialect
def test_a_full_house_is_replaced_and_not_enlarged(world: World) -> None:
    change_market(read_market(world.symbol), max_open_orders=2)
    old = world.play(world.alice, "buy 1 @ 100")
    world.play(world.alice, "buy 1 @ 99")
    assert told(replace(world, world.alice, old, "buy 1 @ 101")) == "202"
    refused = replace(world, world.alice, old, "buy 1 @ 102")
    assert (told(refused), refused.body["data"]["maxOpenOrders"]) == ("400 TOO_MANY_OPEN_ORDERS", 2)
    world.match()
    assert world.depth() == "1@101 1@99 |"


def test_a_market_order_spends_what_the_old_one_had(world: World) -> None:
    world.play(world.bob, "sell 5 @ 100")
    old = world.play(world.alice, "buy 100 @ 99")
    old = world.play(world.alice, "buy 1 @ 100") if not old["active"] else old
    new = replace(world, world.alice, old, "buy 5 @ market").body["data"]["orderId"]
    world.match()
    assert (ended(world.alice, new), world.alice.holds("USD")) == ("0 filled", "9500 0")
    # With nothing to be released, and nothing available, it is refused at once.
    world.play(world.alice, "buy 95 @ 99")
    world.play(world.alice, "buy 95 @ 1")
    closed = {"orderId": new}
    assert told(replace(world, world.alice, closed, "buy 1 @ market")) == "400 INSUFFICIENT_FUNDS"


@pytest.mark.django_db(transaction=True)
@pytest.mark.dialect
@pytest.mark.parametrize("cache", [True, False])
def test_an_unfinished_replacement_goes_on(world: World, settings: Any, cache: bool) -> None:
    settings.ENGINE_FILLS_PER_TRANSACTION, settings.ENGINE_BOOK_CACHE = 1, cache
    alice, bob = world.alice, world.bob
    old = world.play(alice, "buy 1 @ 90")
    # Its own sale is removed first, so that its first transaction has no event of it.
    sale = world.play(alice, "buy 3 @ 101")
    world.play(bob, "sell 2 @ 101")
    world.play(alice, "sell 1 @ 102")
    for price in (103, 104):
        world.play(bob, f"sell 1 @ {price}")
    assert sale["active"]
    new = replace(world, alice, old, "buy 2 @ 104 expire-maker").body["data"]["orderId"]
    world.match()
    assert ended(alice, new) == "0 filled"
    assert world.depth() == "1@101 |"
    assert Order.objects.get(pk=new).frozen == 0


def test_a_halted_market_cancels_and_rejects(world: World) -> None:
    old = world.play(world.alice, "buy 1 @ 100")
    new = replace(world, world.alice, old, "buy 1 @ 101").body["data"]["orderId"]
    world.switch(MarketStatus.HALTED)
    Command.objects.filter(kind="HALT").update(id=1)
    world.match()
    assert (ended(world.alice, new), world.depth()) == ("1 rejected market_halted", "|")
    assert told(replace(world, world.alice, old, "buy 1 @ 101")) == "409 MARKET_NOT_TRADING"


def test_limits_count_the_old_order_no_more(world: World) -> None:
    body = {"openNotional": {"USD": "500"}, "reason": "small"}
    old = world.play(world.alice, "buy 4 @ 100")
    assert world.staff.call("PATCH", f"/users/{world.alice.user.id}/limits", body).status_code == 200
    assert told(replace(world, world.alice, old, "buy 5.1 @ 100")) == "400 LIMIT_EXCEEDED"
    assert told(replace(world, world.alice, old, "buy market 500 quote")) == "202"
    world.match()


def test_staff_replace_for_others(world: World) -> None:
    old = world.play(world.alice, "buy 4 @ 100")
    clerk = world.clerk("orders.place_for_others")
    new = replace(world, clerk, old, "buy 3 @ 100", userId=world.alice.user.id).body["data"]["orderId"]
    world.match()
    assert Order.objects.get(pk=new).placed_by_id == clerk.user.id
    assert world.depth() == "3@100 |"
