"""What an account is told of its orders over Binance's streams, however they end: the same as REST answers."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson
import pytest
from django.db.models import Q

from base.streams.messages import data_text
from binance_api.representation import amount, order_terms
from binance_api.streams.account import AccountWriter
from markets.models import Trade
from orders import accounts
from orders.feed import stored_updates
from orders.models import Order, OrderEvent
from orders.representation import fee, fee_currency, represent_order
from tests.support.world import World, fund
from users.acts import Actor

pytestmark = pytest.mark.django_db

FINAL = {"FILLED", "CANCELED", "EXPIRED", "REJECTED", "EXPIRED_IN_MATCH"}


def _amend(world: World) -> None:
    order_id = world.play(world.alice, "buy 3 @ 90")["orderId"]
    world.play(world.bob, "sell 1 @ 95")
    world.alice.call("PATCH", f"/orders/{order_id}", {"price": "95"})
    world.match()
    world.alice.call("PATCH", f"/orders/{order_id}", {"quantity": "2"})
    world.match()
    world.play(world.bob, "sell 1 @ 95")


def _take(world: World) -> None:
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.bob, "sell 1 @ 101")
    for line in (
        "buy 1.5 @ 101 ioc",
        "buy 5 @ 200 fok",
        "buy 1 @ market",
        "buy market 50 quote",
        "buy 1 @ 102 post-only",
    ):
        world.play(world.alice, line)


def _prevented(world: World) -> None:
    for mode in ("decrement", "expire-taker", "expire-maker", "expire-both"):
        world.play(world.alice, f"buy 2 @ 100 {mode}")
        world.play(world.bob, "buy 1 @ 99")
        world.play(world.alice, f"sell 3 @ 99 {mode}")


def _stops(world: World) -> None:
    world.play(world.bob, "sell 5 @ 110")
    world.play(world.alice, "buy 1 @ market stop 100")
    world.play(world.alice, "buy 1 @ 105 stop 100")
    world.play(world.alice, "buy 1 @ 120 stop 100 ioc")
    world.play(world.carol, "sell 1 @ 100")
    world.play(world.bob, "buy 1 @ 100")
    world.play(world.bob, "sell 1 @ 105")


def _group(world: World) -> None:
    for price in ("110", "120"):
        body = {"symbol": world.symbol, "side": "SELL", "quantity": "1", "price": price, "stopPrice": "90"}
        assert world.alice.call("POST", "/orders/oco", body).status_code == 202
        world.match()
    world.play(world.bob, "buy 1 @ 110")
    world.play(world.carol, "buy 1 @ 89")
    world.play(world.carol, "sell 0.5 @ 89")


def _cancelled(world: World) -> None:
    world.play(world.bob, "sell 1 @ 100")
    order_id = world.play(world.alice, "buy 2 @ 100")["orderId"]
    world.alice.call("DELETE", f"/orders/{order_id}")
    world.match()
    world.play(world.alice, "buy 2 @ 90 show 1")
    accounts.kill(world.alice.user.id, Actor(world.staff.user.id, "", "test"))
    world.match()


def _auction(world: World) -> None:
    world.switch("AUCTION")
    world.match()
    world.play(world.alice, "buy 3 @ 101")
    world.play(world.bob, "sell 2 @ 99")
    world.switch("TRADING")
    world.match()
    world.switch("DELISTED")
    world.match()


@pytest.mark.parametrize("play", [_amend, _take, _prevented, _stops, _group, _cancelled, _auction])
def test_reports_of_an_order_agree_with_each_other_and_with_rest(db: None, play: Callable[[World], None]) -> None:
    world = World.make(maker_fee_rate=Decimal("-0.001"), taker_fee_rate=Decimal("0.002"))
    for person in (world.alice, world.bob, world.carol):
        fund(person.user, BTC="100", USD="100000")
    writer = AccountWriter(world.alice.user.id, str)
    writer.begin()
    play(world)
    events = OrderEvent.objects.filter(user=world.alice.user).order_by("sequence")
    updates = [orjson.loads(data_text(message.data)) for message in stored_updates(list(events))]
    reports: dict[int, list[dict[str, Any]]] = {}
    for event in writer._events(updates):
        if event["e"] == "executionReport":
            reports.setdefault(event["i"], []).append(event)
    orders = Order.objects.filter(user=world.alice.user)
    assert reports.keys() == {order.pk for order in orders}
    for order in orders:
        told = reports[order.pk]
        _agree(told, order)


def _agree(told: list[dict[str, Any]], order: Order) -> None:
    steps = [each["x"] for each in told]
    assert steps[0] in ("NEW", "REJECTED"), steps
    assert steps.count("NEW") == (steps[0] == "NEW") + (order.triggered_at is not None), steps
    assert [each["X"] in FINAL for each in told] == [False] * (len(told) - 1) + [not order.active], steps
    filled = quote = Decimal(0)
    for each in told:
        filled, quote = filled + Decimal(each["l"]), quote + Decimal(each["Y"])
        assert (Decimal(each["z"]), Decimal(each["Z"])) == (filled, quote), each
        assert (each["t"] == -1) == (each["x"] != "TRADE")
    assert (filled, quote) == (order.filled_quantity, order.filled_notional)
    assert told[-1]["X"] == order_terms(represent_order(order))["status"]
    paid = {(each["t"], each["n"], each["N"]) for each in told if each["x"] == "TRADE"}
    assert paid == {(trade.sequence, amount(fee(order.side, trade)), _asset(order, trade)) for trade in _trades(order)}
    assert {each["m"] for each in told} <= {False, *(order.side != trade.taker_side for trade in _trades(order))}


def _trades(order: Order) -> list[Trade]:
    return list(Trade.objects.filter(Q(buy_order_id=order.pk) | Q(sell_order_id=order.pk)))


def _asset(order: Order, trade: Trade) -> str:
    return fee_currency(order.side, trade, trade.market)
