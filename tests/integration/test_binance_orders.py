"""Orders of `/api/v3` where nobody waits for their outcome: what is stored, and how it is read."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from base.web import lists
from base.web.errors import Unavailable
from binance_api import history, replace_view
from binance_api.outcomes import placed_body
from binance_api.replace_view import Asked, outcome
from binance_api.symbols import names
from core.money import plain
from markets.models import Market
from markets.services import create_market, known_market
from orders.models import Order
from tests.support.binance import Bot, order
from tests.support.world import World, fund

STOP = {"symbol": "BTCUSD", "side": "SELL", "quantity": "1", "stopPrice": "90"}


@pytest.fixture
def bot(world: World) -> Bot:
    """Alice's, who holds both; the last price is 100."""
    world.play(world.bob, "sell 5 @ 100")
    world.play(world.alice, "buy 5 @ 100")
    return Bot.of(world.alice)


def stored() -> Order:
    return Order.objects.latest("id")


def stored_order(side: str) -> Order:
    return Order.objects.filter(side=side.upper()).latest("id")


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        (order("buy 1 @ 99 ioc"), {"type": "LIMIT", "time_in_force": "IOC", "post_only": False}),
        (order("buy 1 @ 99 fok"), {"type": "LIMIT", "time_in_force": "FOK"}),
        (order("buy 1 @ 99 maker"), {"type": "LIMIT", "time_in_force": "GTC", "post_only": True}),
        (order("sell 1 market"), {"type": "MARKET", "price": None}),
        ({**order("buy 1 market"), "quantity": None, "quoteOrderQty": "50"}, {"type": "MARKET", "quantity": None}),
        ({**STOP, "type": "STOP_LOSS"}, {"type": "STOP", "stop_price": "90"}),
        (
            {**STOP, "type": "STOP_LOSS_LIMIT", "price": "89", "timeInForce": "GTC"},
            {"type": "STOP_LIMIT", "price": "89", "stop_price": "90"},
        ),
        ({**STOP, "type": "TAKE_PROFIT", "stopPrice": "110"}, {"type": "TAKE_PROFIT"}),
        (
            {**STOP, "type": "TAKE_PROFIT_LIMIT", "stopPrice": "110", "price": "111", "timeInForce": "GTC"},
            {"type": "TAKE_PROFIT_LIMIT", "price": "111"},
        ),
        (
            {**order("buy 1 @ 99"), "icebergQty": "0.1"},
            {"type": "LIMIT", "display_quantity": "0.1"},
        ),
        ({**order("buy 1 @ 99"), "icebergQty": "0"}, {"display_quantity": None}),
        ({**order("buy 1 @ 99"), "selfTradePreventionMode": "DECREMENT"}, {"self_trade_prevention": "DECREMENT"}),
    ],
    ids=str,
)
def test_each_kind_is_stored_as_ours(
    world: World, bot: Bot, parameters: dict[str, Any], fields: dict[str, Any]
) -> None:
    sent = {name: value for name, value in parameters.items() if value is not None}
    answer = bot.call("POST", "order", **sent)
    assert answer.status_code == 200, answer.body
    made = stored()
    for name, value in fields.items():
        found = getattr(made, name)
        assert (plain(found) if isinstance(found, Decimal) else found) == value, name
    world.match()
    shown = bot.get("order", symbol="BTCUSD", orderId=made.id)
    assert shown["type"] == sent["type"]
    assert shown["side"] == sent["side"]


def test_the_answer_is_of_the_kind_that_was_asked_for(world: World, bot: Bot) -> None:
    acknowledged = bot.place("buy 1 @ 90", newOrderRespType="ACK", newClientOrderId="mine").body
    assert acknowledged.keys() == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    assert acknowledged["clientOrderId"] == "mine"
    assert "fills" not in bot.place("buy 1 @ 90", newOrderRespType="RESULT").body
    assert bot.place("buy 1 @ 90").body["fills"] == []
    assert bot.place("buy 1 @ 90").body["status"] == "NEW", "nobody has matched it yet"
    assert bot.call("POST", "order", **STOP, type="STOP_LOSS").body.keys() == acknowledged.keys()


def test_the_same_order_again_has_the_state_of_the_first(world: World, bot: Bot) -> None:
    first = bot.place("sell 1 @ 110", newClientOrderId="once")
    world.match()
    again = bot.place("sell 1 @ 110", newClientOrderId="once")
    assert (again.status_code, again.body["orderId"]) == (200, first.body["orderId"])
    assert "X-MBX-ORDER-COUNT-10S" in first.headers
    assert "X-MBX-ORDER-COUNT-10S" not in again.headers, "nothing was placed"
    assert Order.objects.filter(client_order_id="once").count() == 1
    other = bot.place("sell 2 @ 110", newClientOrderId="once")
    assert other.body == {"code": -2010, "msg": "Duplicate order sent."}


def test_a_repeat_of_a_stop_is_one_wherever_the_price_is_by_now(world: World, bot: Bot) -> None:
    """Who repeats because an answer was lost must not hear that there is no order."""
    stop = {**STOP, "type": "STOP_LOSS", "newClientOrderId": "guard"}
    first = bot.call("POST", "order", **stop).body
    world.match()
    world.play(world.bob, "buy 1 @ 85")
    world.play(world.alice, "sell 1 @ 85")
    assert bot.call("POST", "order", **stop).body["orderId"] == first["orderId"]
    assert bot.call("POST", "order", **{**stop, "newClientOrderId": "new"}).body["code"] == -2010


@pytest.mark.parametrize("mode", ["STOP_ON_FAILURE", "ALLOW_FAILURE"])
def test_a_repeat_of_a_replacement_is_one(world: World, bot: Bot, mode: str) -> None:
    old = bot.place("sell 1 @ 110").body["orderId"]
    world.match()
    new = {**order("sell 1 @ 111"), "cancelReplaceMode": mode, "cancelOrderId": old, "newClientOrderId": "new"}
    first = bot.call("POST", "order/cancelReplace", **new).body
    world.match()
    again = bot.call("POST", "order/cancelReplace", **new)
    assert (again.status_code, again.body["cancelResult"]) == (200, "SUCCESS")
    assert again.body["cancelResponse"]["status"] == "CANCELED"
    assert again.body["newOrderResponse"]["orderId"] == first["newOrderResponse"]["orderId"]
    late = {**new, "newClientOrderId": "late"}
    placed = bot.call("POST", "order/cancelReplace", **late)
    if mode == "ALLOW_FAILURE":
        data = bot.call("POST", "order/cancelReplace", **late).body["data"]
        assert data["newOrderResponse"]["orderId"] == placed.body["data"]["newOrderResponse"]["orderId"]
    else:
        assert placed.body["code"] == -2022
    assert Order.objects.filter(client_order_id__in=["new", "late"]).count() == (2 if mode == "ALLOW_FAILURE" else 1)


def test_an_order_without_a_name_is_found_by_the_one_that_is_shown(world: World, bot: Bot) -> None:
    shown = bot.place("sell 1 @ 110").body
    assert shown["clientOrderId"] == f"id-{shown['orderId']}"
    assert bot.get("order", symbol="BTCUSD", origClientOrderId=shown["clientOrderId"])["orderId"] == shown["orderId"]
    both = {"symbol": "BTCUSD", "orderId": shown["orderId"]}
    assert bot.get("order", **both, origClientOrderId=shown["clientOrderId"])["orderId"] == shown["orderId"]
    assert bot.call("GET", "order", **both, origClientOrderId="other").body["code"] == -2013


def test_a_cancel_that_waits_is_shown_as_such(world: World, bot: Bot) -> None:
    made = bot.place("sell 1 @ 110").body["orderId"]
    world.match()
    cancelled = bot.call("DELETE", "order", symbol="BTCUSD", orderId=made).body
    assert cancelled["status"] == "PENDING_CANCEL"
    world.match()
    assert bot.get("order", symbol="BTCUSD", orderId=made)["status"] == "CANCELED"


@pytest.mark.dialect
def test_lists_of_orders(world: World, bot: Bot) -> None:
    made = [bot.place(f"sell 1 @ {price}").body["orderId"] for price in (110, 111, 112)]
    world.match()
    other = world.play(world.bob, "sell 1 @ 120")["orderId"]
    assert [each["orderId"] for each in bot.get("openOrders")] == made
    assert [each["orderId"] for each in bot.get("openOrders", symbol="BTCUSD")] == made
    assert bot.get("openOrders", symbol="BTCUSD")[0]["status"] == "NEW"
    everything = [each["orderId"] for each in bot.get("allOrders", symbol="BTCUSD")]
    assert everything[-3:] == made
    assert other not in everything
    assert [each["orderId"] for each in bot.get("allOrders", symbol="BTCUSD", limit=2)] == made[1:]
    assert [each["orderId"] for each in bot.get("allOrders", symbol="BTCUSD", orderId=made[1])] == made[1:]
    later = int((timezone.now() + timedelta(minutes=1)).timestamp() * 1000)
    assert bot.get("allOrders", symbol="BTCUSD", startTime=later) == []
    assert len(bot.get("allOrders", symbol="BTCUSD", startTime=0, endTime=later)) == 4


def test_a_list_that_would_not_be_complete_is_refused(world: World, bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client takes a short list for the end of what there is."""
    for module in (history, lists):
        monkeypatch.setattr(module, "READ_AT_ONCE", 2)
        monkeypatch.setattr(module, "MOST_READ", 4)
    wanted = {"symbol": "BTCUSD", "limit": 5}
    create_market(symbol="ETH-USD", base="ETH", quote="USD", tick_size=Decimal(1), lot_size=Decimal(1))
    names.cache_clear()
    first = bot.get("allOrders", **wanted)
    assert len(first) == len(bot.get("allOrders", **wanted, startTime=0)) == 1
    for _ in range(5):
        bot.call("POST", "order", **order("buy 1 @ 50", "ETHUSD"))
    for more in ({}, {"startTime": 0}, {"orderId": first[0]["orderId"]}):
        assert bot.call("GET", "allOrders", **wanted, **more).body["code"] == -1127
    assert bot.get("allOrders", **wanted, startTime=0, endTime=first[0]["time"]) == first


@pytest.mark.dialect
def test_own_trades(world: World, bot: Bot) -> None:
    fund(world.alice.user, BTC="5")
    for price in (101, 102):
        world.play(world.alice, f"sell 1 @ {price}")
        world.play(world.bob, "buy 0.5 @ market")
    # With oneself: two fills of one trade.
    world.play(world.alice, "buy 0.5 @ 101", selfTradePrevention="NONE")
    trades = bot.get("myTrades", symbol="BTCUSD")
    assert [(each["price"], each["isBuyer"], each["isMaker"]) for each in trades] == [
        ("100.00000000", True, False),
        ("101.00000000", False, True),
        ("101.00000000", False, True),
        ("101.00000000", False, True),
        ("101.00000000", True, False),
    ][: len(trades)]
    ids = [each["id"] for each in trades]
    assert ids == sorted(ids)
    assert [each["id"] for each in bot.get("myTrades", symbol="BTCUSD", limit=2)] == ids[-2:]
    assert [each["id"] for each in bot.get("myTrades", symbol="BTCUSD", fromId=ids[1])] == ids[1:]
    assert [each["id"] for each in bot.get("myTrades", symbol="BTCUSD", fromId=0, limit=3)] == ids[:3]
    assert len(bot.get("myTrades", symbol="BTCUSD", startTime=0)) == len(ids)
    of_one = bot.get("myTrades", symbol="BTCUSD", orderId=trades[0]["orderId"])
    assert [each["id"] for each in of_one] == ids[:1]
    assert bot.get("myTrades", symbol="BTCUSD", orderId=999_999) == []


def test_the_account(world: World, bot: Bot) -> None:
    bot.place("buy 1 @ 90")
    account = bot.get("account")
    assert {each["asset"]: (each["free"], each["locked"]) for each in account["balances"]} == {
        "BTC": ("5.00000000", "0.00000000"),
        "USD": ("9410.00000000", "90.00000000"),
    }
    assert (account["uid"], account["accountType"], account["canTrade"]) == (world.alice.user.id, "SPOT", True)
    type(world.alice.user).objects.filter(id=world.alice.user.id).update(is_blocked=True)
    assert bot.get("account")["canTrade"] is False, "an operator blocked the account"
    assert bot.get("account/commission", symbol="BTCUSD")["standardCommission"]["taker"] == "0.00000000"


def test_an_order_that_is_tried_is_not_stored(world: World, bot: Bot) -> None:
    before = Order.objects.count()
    assert bot.call("POST", "order/test", **order("buy 1 @ 90")).body == {}
    rates = bot.call("POST", "order/test", **order("buy 1 @ 90"), computeCommissionRates="true").body
    assert rates == {"standardCommissionForOrder": {"maker": "0.00000000", "taker": "0.00000000"}}
    assert Order.objects.count() == before


def test_what_fails_to_be_replaced_is_placed_where_that_is_allowed(world: World, bot: Bot) -> None:
    new = {**order("sell 1 @ 110"), "cancelReplaceMode": "ALLOW_FAILURE", "cancelOrderId": 999_999}
    answer = bot.call("POST", "order/cancelReplace", **new)
    data = answer.body["data"]
    assert (answer.status_code, answer.body["code"]) == (409, -2021)
    assert (data["cancelResult"], data["newOrderResult"]) == ("FAILURE", "SUCCESS")
    assert data["cancelResponse"] == {"code": -2011, "msg": "Unknown order sent."}
    assert data["newOrderResponse"]["orderId"] == stored().id
    poor = {**new, "quantity": "100"}
    data = bot.call("POST", "order/cancelReplace", **poor).body["data"]
    assert (data["cancelResult"], data["newOrderResult"]) == ("FAILURE", "FAILURE")
    assert data["newOrderResponse"]["code"] == -2010


@pytest.mark.dialect
def test_a_group_by_the_newer_call(world: World, bot: Bot) -> None:
    fields = {
        "symbol": "BTCUSD",
        "side": "SELL",
        "quantity": "1",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": "110",
        "aboveClientOrderId": "target",
        "belowType": "STOP_LOSS_LIMIT",
        "belowStopPrice": "90",
        "belowPrice": "89",
        "belowTimeInForce": "GTC",
        "belowClientOrderId": "guard",
    }
    group = bot.call("POST", "orderList/oco", **fields).body
    assert [leg["clientOrderId"] for leg in group["orders"]] == ["target", "guard"]
    assert bot.call("POST", "orderList/oco", **fields).body["orderListId"] == group["orderListId"], "a repeat"
    assert bot.call("POST", "orderList/oco", **{**fields, "belowClientOrderId": "x"}).body["code"] == -2010
    world.match()
    assert bot.get("orderList", orderListId=group["orderListId"])["listOrderStatus"] == "EXECUTING"
    assert bot.get("orderList", origClientOrderId="target")["orderListId"] == group["orderListId"]
    [listed] = bot.get("openOrderList")
    assert listed["orders"] == group["orders"]
    assert {each["orderListId"] for each in bot.get("openOrders")} == {group["orderListId"]}
    assert len(bot.get("openOrders")) == 2


def test_the_fills_are_those_that_the_order_counts(world: World, bot: Bot) -> None:
    """A fill that comes between two readings is in neither, or the sum would be another."""
    bot.place("sell 2 @ 110")
    world.match()
    world.play(world.bob, "buy 0.5 @ 110")
    read_before = stored_order("sell")
    world.play(world.bob, "buy 0.5 @ 110")
    shown = placed_body("FULL", read_before)
    assert (shown["executedQty"], [fill["qty"] for fill in shown["fills"]]) == ("0.50000000", ["0.50000000"])
    assert len(placed_body("FULL", stored_order("sell"))["fills"]) == 2


@pytest.mark.parametrize(("verb", "old"), [("replace_order", None), ("place_order", 999_999)])
def test_a_replacement_of_which_nothing_is_known_says_so(
    world: World, bot: Bot, monkeypatch: pytest.MonkeyPatch, verb: str, old: int | None
) -> None:
    """Not that it was refused: the client repeats what is unknown, and gives up what is refused."""

    def unavailable(*_: object) -> None:
        raise Unavailable("the outcome is unknown")

    monkeypatch.setattr(replace_view, verb, unavailable)
    wanted = old or bot.place("sell 1 @ 110").body["orderId"]
    new = {**order("sell 1 @ 111"), "cancelReplaceMode": "ALLOW_FAILURE", "cancelOrderId": wanted}
    answer = bot.call("POST", "order/cancelReplace", **new)
    assert (answer.status_code, answer.body["code"]) == (503, -1007)


def test_a_replacement_that_the_engine_gave_up(world: World, bot: Bot) -> None:
    """Its answer has the old order as that is: a cancel that did not happen is none."""
    old, new = (bot.place(f"sell 1 @ {price}").body["orderId"] for price in (110, 111))
    world.match()
    asked, failed = Asked(Order.objects.get(id=old), "cancel", "FULL"), Order.objects.get(id=new)
    failed.status = "FAILED"
    for code, result in ((-2022, "FAILURE"), (-2021, "SUCCESS")):
        shown = outcome(asked, failed)
        assert shown is not None
        assert (shown.body["code"], shown.body["data"]["cancelResult"]) == (code, result)
        bot.call("DELETE", "order", symbol="BTCUSD", orderId=old)
        world.match()


def test_a_group_of_which_one_leg_has_a_name_is_repeated_as_one(world: World, bot: Bot) -> None:
    group = {"symbol": "BTCUSD", "side": "SELL", "quantity": "1", "price": "110", "stopPrice": "90"}
    for called in ({"limitClientOrderId": "a"}, {"stopClientOrderId": "b"}, {"limitClientOrderId": "c" * 36}):
        first, again = (bot.call("POST", "order/oco", **group, **called) for _ in range(2))
        assert again.status_code == 200, again.body
        assert again.body["orderListId"] == first.body["orderListId"]
    before = Order.objects.count()
    same = bot.call("POST", "order/oco", **group, limitClientOrderId="x", stopClientOrderId="x")
    assert (same.status_code, same.body["code"]) == (400, -2010)
    assert Order.objects.count() == before


def test_a_group_that_the_engine_rejects_is_refused(world: World, bot: Bot) -> None:
    group = {"symbol": "BTCUSD", "side": "SELL", "quantity": "1", "price": "110", "stopPrice": "90"}
    world.switch("HALTED")
    # Another process knows that a second later.
    Market.objects.update(status="TRADING")
    known_market.cache_clear()
    assert bot.call("POST", "order/oco", **group, listClientOrderId="late").status_code == 200
    Market.objects.update(status="HALTED")
    world.match()
    assert bot.call("POST", "order/oco", **group, listClientOrderId="late").body["code"] == -2010


def test_a_cancel_of_all_orders_may_be_repeated(world: World, bot: Bot) -> None:
    made = bot.place("sell 1 @ 110").body["orderId"]
    world.match()
    for _ in range(2):
        answer = bot.call("DELETE", "openOrders", symbol="BTCUSD")
        assert [(each["orderId"], each["status"]) for each in answer.body] == [(made, "PENDING_CANCEL")]
    world.match()
    assert bot.call("DELETE", "openOrders", symbol="BTCUSD").body["code"] == -2011


def test_a_bots_whole_day_is_counted(world: World, bot: Bot) -> None:
    first, answer = bot.place("sell 1 @ 110"), bot.place("sell 1 @ 111")
    day = int(answer["X-MBX-ORDER-COUNT-1D"])
    assert day == int(first["X-MBX-ORDER-COUNT-1D"]) + 1
    assert 1 <= int(answer["X-MBX-ORDER-COUNT-10S"]) <= day
    assert int(answer["X-MBX-USED-WEIGHT-1M"]) >= 1
    world.alice.user.rate_limit = 50
    world.alice.user.save()
    fresh = Bot.of(world.alice)
    of_ten_seconds, of_day = fresh.get("rateLimit/order")
    assert (of_ten_seconds["limit"], of_ten_seconds["intervalNum"], of_day["count"]) == (500, 10, day)
