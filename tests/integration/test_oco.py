"""One cancels the other: two legs with one reservation, from the request to the rows."""

from typing import Any

import pytest

from commands.models import Command
from markets.services import change_market, read_market
from matching.models import DeadLetter
from orders.models import Order
from tests.support.orders import checks, full, quick
from tests.support.world import Person, World, fund, outcome, stored_rows

pytestmark = pytest.mark.dialect
SELL = {"side": "SELL", "quantity": "2", "price": "120", "stopPrice": "90"}
BUY = {"side": "BUY", "quantity": "2", "price": "80", "stopPrice": "110", "stopLimitPrice": "115"}


@pytest.fixture
def trading(world: World) -> World:
    fund(world.alice.user, BTC="100", USD="100000")
    fund(world.bob.user, BTC="100", USD="100000")
    fund(world.carol.user, BTC="10", USD="1000")
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.alice, "buy 1 @ 100")
    return world


def send(world: World, who: Person, **fields: Any) -> Any:
    return who.call("POST", "/orders/oco", {"symbol": world.symbol, **fields})


def placed(world: World, **fields: Any) -> list[int]:
    answer = send(world, world.carol, **fields)
    assert answer.status_code == 202, answer.body
    world.match()
    data = answer.body["data"]
    limit, stop = (order["orderId"] for order in data["orders"])
    assert data["groupId"] == limit == world.carol.get(f"/orders/{stop}")["groupId"]
    return [limit, stop]


def shown(world: World, order_ids: list[int]) -> list[str]:
    return [outcome(world.carol.get(f"/orders/{order_id}")) for order_id in order_ids]


def test_the_first_fill_of_the_limit_leg_cancels_the_stop_leg(trading: World):
    legs = placed(trading, **SELL)
    assert shown(trading, legs) == ["2 open +", "2 waiting +"]
    assert trading.carol.holds("BTC") == "8 2"
    trading.play(trading.alice, "buy 1 @ 120")
    assert shown(trading, legs) == ["1 partially_filled +", "2 cancelled oco"]
    assert trading.carol.holds("BTC") == "8 1"
    assert checks(full(), quick()) == set()


def test_a_trigger_cancels_the_limit_leg_and_takes_over_its_funds(trading: World):
    legs = placed(trading, **BUY)
    assert trading.carol.holds("USD") == "770 230"
    trading.play(trading.bob, "sell 3 @ 112")
    trading.play(trading.alice, "buy 1 @ 112")
    assert shown(trading, legs) == ["2 cancelled oco", "0 filled"]
    assert trading.carol.holds("USD") == "776 0"
    assert checks(full(), quick()) == set()


@pytest.mark.parametrize("which", [0, 1])
def test_a_cancel_of_one_cancels_both(trading: World, which: int):
    legs = placed(trading, **BUY)
    trading.carol.call("DELETE", f"/orders/{legs[which]}")
    trading.match()
    assert shown(trading, legs) == ["2 cancelled user_cancelled"] * 2
    assert trading.carol.holds("USD") == "1000 0"


@pytest.mark.parametrize(
    ("fields", "error", "field"),
    [
        ({"price": "99"}, "OCO_PRICES_CROSS", "price"),
        ({"stopPrice": "100"}, "OCO_PRICES_CROSS", "price"),
        ({"price": "80", "stopPrice": "90"}, "OCO_PRICES_CROSS", "price"),
        ({**BUY, "price": "100"}, "OCO_PRICES_CROSS", "price"),
        ({**BUY, "stopLimitPrice": None}, None, "stopLimitPrice"),
        ({"price": "120.001"}, "PRICE_OFF_TICK", "price"),
        ({"stopPrice": "90.001"}, "PRICE_OFF_TICK", "stopPrice"),
        ({"stopLimitPrice": "90.001"}, "PRICE_OFF_TICK", "stopLimitPrice"),
        ({"quantity": "0.00001"}, "QUANTITY_OFF_LOT", "quantity"),
        ({"clientOrderId": "k" * 59}, None, "clientOrderId"),
        ({"timeInForce": "GTC"}, "FIELD_UNKNOWN", "timeInForce"),
        ({"quantity": "11"}, "INSUFFICIENT_FUNDS", None),
    ],
)
def test_what_is_refused_is_refused_by_name(trading: World, fields: dict[str, Any], error: str | None, field: str):
    before = stored_rows()
    refused = send(trading, trading.carol, **{**SELL, **fields})
    assert refused.status_code == 400, refused.body
    assert error in (None, refused.body["error"])
    assert refused.body["data"].get("field") == field
    assert stored_rows() == before


def test_a_buy_needs_its_stop_limit_price_and_before_a_trade_the_prices_go_by_each_other(world: World):
    fund(world.carol.user, USD="1000")
    fields = {key: value for key, value in BUY.items() if key != "stopLimitPrice"}
    assert send(world, world.carol, **fields).body["error"] == "FIELD_REQUIRED"
    assert send(world, world.carol, **{**BUY, "price": "110"}).body["error"] == "OCO_PRICES_CROSS"
    assert send(world, world.carol, **BUY).status_code == 202


def test_a_repeat_has_its_first_answer(trading: World):
    first = send(trading, trading.carol, **SELL, clientOrderId="pair")
    again = send(trading, trading.carol, **SELL, clientOrderId="pair")
    assert again.body["data"] == first.body["data"] and again["Idempotent-Replayed"] == "true"
    keys = [order["clientOrderId"] for order in first.body["data"]["orders"]]
    assert keys == ["pair-limit", "pair-stop"]
    other = send(trading, trading.carol, **{**SELL, "price": "121"}, clientOrderId="pair")
    assert (other.status_code, other.body["error"]) == (422, "CLIENT_ORDER_ID_REUSED")
    alone = trading.place(trading.carol, "sell 2 @ 120", clientOrderId="pair-limit")
    assert alone.body["error"] == "CLIENT_ORDER_ID_REUSED"
    assert Order.objects.filter(user=trading.carol.user).count() == 2


def test_both_legs_count_as_open_and_neither_is_replaced(trading: World):
    change_market(read_market(trading.symbol), max_open_orders=3)
    legs = placed(trading, **SELL)
    assert send(trading, trading.carol, **SELL).body["error"] == "TOO_MANY_OPEN_ORDERS"
    body = {"symbol": trading.symbol, "side": "SELL", "type": "LIMIT", "price": "130", "quantity": "2"}
    refused = trading.carol.call("POST", f"/orders/{legs[0]}/replace", body)
    assert (refused.status_code, refused.body["error"]) == (409, "IN_GROUP")


def test_a_legs_prices_may_be_amended_and_the_limit_leg_holds_what_the_dearer_needs(trading: World):
    legs = placed(trading, **BUY)
    for leg, fields, holds in (
        (0, {"price": "90"}, "770 230"),
        (1, {"price": "130"}, "740 260"),
        (1, {"stopPrice": "105"}, "740 260"),
        (1, {"price": "106"}, "788 212"),
    ):
        assert trading.carol.call("PATCH", f"/orders/{legs[leg]}", fields).status_code == 202
        trading.match()
        assert trading.carol.holds("USD") == holds
        assert checks(full(), quick()) == set()
    assert trading.carol.call("PATCH", f"/orders/{legs[1]}", {"price": "900"}).body["error"] == "INSUFFICIENT_FUNDS"
    assert trading.carol.call("PATCH", f"/orders/{legs[0]}", {"quantity": "1"}).body["data"]["field"] == "quantity"
    trading.play(trading.bob, "sell 3 @ 105")
    trading.play(trading.alice, "buy 1 @ 105")
    assert shown(trading, legs) == ["2 cancelled oco", "0 filled"]
    assert trading.carol.holds("USD") == "790 0"


def test_what_fails_or_comes_too_late_ends_both_legs(trading: World, settings):
    settings.ENGINE_RETRY_MS = []
    send(trading, trading.carol, **SELL)
    trading.switch("HALTED")
    trading.match()
    answer = send(trading, trading.carol, **SELL)
    assert answer.body["error"] == "MARKET_NOT_TRADING"
    trading.switch("TRADING")
    trading.match()
    assert not Command.objects.exists() and not DeadLetter.objects.exists()
    legs = [order.id for order in Order.objects.filter(user=trading.carol.user).order_by("id")]
    assert shown(trading, legs) == ["2 open +", "2 waiting +"]
