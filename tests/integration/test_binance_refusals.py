"""Each rule of `/api/v3` and what it says: Binance's own code and message. The table is that of docs/binance.md."""

import random
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from django.test import Client, override_settings

from base.servers.waiting import Head, refusal_of
from base.storage.breakers import forget_breakers
from base.web.errors import error_body
from base.web.ratelimit import meter
from base.web.ratelimit.waits import Waits
from base.web.ratelimit.windows import LocalWindow
from commands.queue import find_backlog
from markets.services import change_market, known_market, read_market
from orders.models import Order
from tests.support.binance import API, Bot, now_ms, order, read, summary_of
from tests.support.routes import served
from tests.support.world import World, stored_rows

MARKET = {"symbol": "BTCUSD", "side": "BUY", "type": "MARKET", "quantity": "1"}
STOP = {"symbol": "BTCUSD", "side": "SELL", "type": "STOP_LOSS", "quantity": "1", "stopPrice": "90"}
LIMIT = order("buy 1 @ 100")
OCO = {"symbol": "BTCUSD", "side": "SELL", "quantity": "1", "price": "110", "stopPrice": "90"}
LIST = {"symbol": "BTCUSD", "side": "SELL", "quantity": "1", "aboveType": "LIMIT_MAKER", "belowType": "STOP_LOSS"}
REPLACE = {**LIMIT, "cancelReplaceMode": "STOP_ON_FAILURE"}


class Row(NamedTuple):
    """A call, and what it says. A parameter that is None is left out."""

    expected: str
    method: str
    path: str
    parameters: dict[str, Any]


def mandatory(name: str) -> str:
    return f"400 -1102 Mandatory parameter '{name}' was not sent, was empty/null, or malformed."


def unneeded(name: str) -> str:
    return f"400 -1106 Parameter '{name}' sent when not required."


def failed(name: str) -> str:
    return f"400 -1013 Filter failure: {name}"


def one_of(first: str, second: str) -> str:
    return f"400 -1102 Param '{first}' or '{second}' must be sent, but both were empty/null!"


COMBINED = "400 -1128 Combination of optional parameters invalid."
LEGAL = "legal range is '^([0-9]{1,12})(\\.[0-9]{1,20})?$'."
NEW_ORDERS = [
    Row(mandatory("symbol"), "POST", "order", {**LIMIT, "symbol": None}),
    Row(mandatory("side"), "POST", "order", {**LIMIT, "side": None}),
    Row(mandatory("type"), "POST", "order", {**LIMIT, "type": None}),
    Row(mandatory("price"), "POST", "order", {**LIMIT, "price": None}),
    Row(mandatory("quantity"), "POST", "order", {**LIMIT, "quantity": None}),
    Row(mandatory("timeInForce"), "POST", "order", {**LIMIT, "timeInForce": None}),
    Row(mandatory("stopPrice"), "POST", "order", {**STOP, "stopPrice": None}),
    Row(one_of("quantity", "quoteOrderQty"), "POST", "order", {**MARKET, "quantity": None}),
    Row(COMBINED, "POST", "order", {**MARKET, "quoteOrderQty": "10"}),
    Row(unneeded("price"), "POST", "order", {**MARKET, "price": "100"}),
    Row(unneeded("timeInForce"), "POST", "order", {**MARKET, "timeInForce": "GTC"}),
    Row(unneeded("timeInForce"), "POST", "order", {**order("buy 1 @ 100 maker"), "timeInForce": "GTC"}),
    Row(unneeded("stopPrice"), "POST", "order", {**LIMIT, "stopPrice": "90"}),
    Row(unneeded("quoteOrderQty"), "POST", "order", {**LIMIT, "quoteOrderQty": "90"}),
    Row("400 -1121 Invalid symbol.", "POST", "order", {**LIMIT, "symbol": "ETHUSD"}),
    Row(
        "400 -1100 Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,33}$'.",
        "POST",
        "order",
        {**LIMIT, "symbol": "btcusd"},
    ),
    Row("400 -1117 Invalid side.", "POST", "order", {**LIMIT, "side": "buy"}),
    Row("400 -1116 Invalid orderType.", "POST", "order", {**LIMIT, "type": "ICEBERG"}),
    Row("400 -1115 Invalid timeInForce.", "POST", "order", {**LIMIT, "timeInForce": "GTX"}),
    Row("400 -1105 Parameter 'price' was empty.", "POST", "order", {**LIMIT, "price": ""}),
    Row("400 -1013 Invalid quantity.", "POST", "order", {**LIMIT, "quantity": "0"}),
    Row("400 -1013 Invalid price.", "POST", "order", {**LIMIT, "price": "0.00"}),
    Row(
        f"400 -1100 Illegal characters found in parameter 'quantity'; {LEGAL}",
        "POST",
        "order",
        {**LIMIT, "quantity": "-1"},
    ),
    Row(
        f"400 -1100 Illegal characters found in parameter 'price'; {LEGAL}", "POST", "order", {**LIMIT, "price": "1e5"}
    ),
    Row(
        f"400 -1100 Illegal characters found in parameter 'price'; {LEGAL}",
        "POST",
        "order",
        {**LIMIT, "price": "9" * 30},
    ),
    Row(
        "400 -1111 Parameter 'quantity' has too much precision.", "POST", "order", {**LIMIT, "quantity": "1.000000001"}
    ),
    Row(
        "400 -1100 Illegal characters found in parameter 'newClientOrderId';"
        r" legal range is '^[\.A-Z\:a-z0-9_-]{1,36}$'.",
        "POST",
        "order",
        {**LIMIT, "newClientOrderId": "a b"},
    ),
    Row(
        "400 -1136 Invalid newOrderRespType",
        "POST",
        "order",
        {**LIMIT, "newOrderRespType": "ALL"},
    ),
    Row(
        "400 -1130 Data sent for parameter 'selfTradePreventionMode' is not valid.",
        "POST",
        "order",
        {**LIMIT, "selfTradePreventionMode": "TRANSFER"},
    ),
    Row("400 -1134 strategyType was less than 1000000.", "POST", "order", {**LIMIT, "strategyType": "5"}),
    Row(
        "400 -1104 Not all sent parameters were read; read '8' parameter(s) but was sent '9'.",
        "POST",
        "order",
        {**LIMIT, "postOnly": "true"},
    ),
    Row(failed("PRICE_FILTER"), "POST", "order", {**LIMIT, "price": "100.001"}),
    Row(failed("LOT_SIZE"), "POST", "order", {**LIMIT, "quantity": "0.00005"}),
    Row(failed("LOT_SIZE"), "POST", "order", {**LIMIT, "quantity": "90000000000"}),
    Row(failed("NOTIONAL"), "POST", "order", {**LIMIT, "quantity": "0.01", "price": "1"}),
    Row(failed("NOTIONAL"), "POST", "order", {**MARKET, "quantity": "0.0001"}),
    Row(failed("PERCENT_PRICE_BY_SIDE"), "POST", "order", {**LIMIT, "price": "151"}),
    Row(failed("ICEBERG_PARTS"), "POST", "order", {**LIMIT, "quantity": "50", "price": "10", "icebergQty": "0.0001"}),
    Row("400 -2010 IcebergQty exceeds QTY.", "POST", "order", {**LIMIT, "icebergQty": "2"}),
    Row(
        COMBINED[:-1] + ": icebergQty is for timeInForce GTC.",
        "POST",
        "order",
        {**LIMIT, "icebergQty": "0.5", "timeInForce": "IOC"},
    ),
    Row(
        "400 -2010 Account has insufficient balance for requested action.",
        "POST",
        "order",
        {**LIMIT, "quantity": "1000"},
    ),
    Row(
        "400 -2010 Trailing stop orders are not supported for this symbol.",
        "POST",
        "order",
        {**STOP, "trailingDelta": "100"},
    ),
    Row("400 -2010 Order would trigger immediately.", "POST", "order", {**STOP, "stopPrice": "100"}),
    Row(
        "400 -2010 Quote order qty market orders are not supported for SELL: send a quantity.",
        "POST",
        "order",
        {**MARKET, "side": "SELL", "quantity": None, "quoteOrderQty": "10"},
    ),
    Row(
        "400 -1111 Parameter 'quoteOrderQty' has too much precision.",
        "POST",
        "order",
        {**MARKET, "quantity": None, "quoteOrderQty": "10.000000001"},
    ),
    Row("400 -2010 Duplicate order sent.", "POST", "order", {**LIMIT, "newClientOrderId": "mine"}),
    Row(failed("PRICE_FILTER"), "POST", "order/test", {**LIMIT, "price": "100.001"}),
    Row("400 -2010 Order would trigger immediately.", "POST", "order/test", {**STOP, "stopPrice": "100"}),
]
OTHERS = [
    Row(one_of("origClientOrderId", "orderId"), "GET", "order", {"symbol": "BTCUSD"}),
    Row("400 -2013 Order does not exist.", "GET", "order", {"symbol": "BTCUSD", "orderId": "9" * 19}),
    Row("400 -2013 Order does not exist.", "GET", "order", {"symbol": "BTCUSD", "origClientOrderId": "id-99999"}),
    Row("400 -2013 Order does not exist.", "GET", "order", {"symbol": "BTCUSD", "origClientOrderId": "bobs"}),
    Row("400 -2011 Unknown order sent.", "DELETE", "order", {"symbol": "BTCUSD", "orderId": "99999"}),
    Row("400 -2011 Unknown order sent.", "DELETE", "order", {"symbol": "BTCUSD", "origClientOrderId": "done"}),
    Row(
        "400 -2011 Order was not canceled due to cancel restrictions.",
        "DELETE",
        "order",
        {"symbol": "BTCUSD", "origClientOrderId": "mine", "cancelRestrictions": "ONLY_PARTIALLY_FILLED"},
    ),
    Row(
        "400 -1145 cancelRestrictions has to be either ONLY_NEW or ONLY_PARTIALLY_FILLED.",
        "DELETE",
        "order",
        {"symbol": "BTCUSD", "origClientOrderId": "mine", "cancelRestrictions": "ONLY_MINE"},
    ),
    Row("400 -1121 Invalid symbol.", "DELETE", "openOrders", {"symbol": "ETHUSD"}),
    Row(mandatory("symbol"), "GET", "allOrders", {}),
    Row(
        "400 -1130 Data sent for parameter 'limit' is not valid.",
        "GET",
        "allOrders",
        {"symbol": "BTCUSD", "limit": "0"},
    ),
    Row(COMBINED, "GET", "myTrades", {"symbol": "BTCUSD", "fromId": "1", "startTime": "1"}),
    Row(mandatory("cancelReplaceMode"), "POST", "order/cancelReplace", LIMIT),
    Row(one_of("cancelOrigClientOrderId", "cancelOrderId"), "POST", "order/cancelReplace", REPLACE),
    Row("400 -2022 Order cancel-replace failed.", "POST", "order/cancelReplace", {**REPLACE, "cancelOrderId": "99999"}),
    Row(
        "400 -2022 Order cancel-replace failed.",
        "POST",
        "order/cancelReplace",
        {**REPLACE, "cancelOrigClientOrderId": "mine", "price": "100.001"},
    ),
    Row(
        "400 -2010 The relationship of the prices for the orders is not correct.",
        "POST",
        "order/oco",
        {**OCO, "price": "80"},
    ),
    Row(mandatory("stopLimitTimeInForce"), "POST", "order/oco", {**OCO, "stopLimitPrice": "89"}),
    Row(
        "400 -2010 Iceberg orders are not supported in a list.", "POST", "order/oco", {**OCO, "limitIcebergQty": "0.5"}
    ),
    Row(
        "400 -1168 At least one OCO order must be contingent.",
        "POST",
        "orderList/oco",
        {**LIST, "belowType": "LIMIT_MAKER"},
    ),
    Row("400 -1158 Order type not supported in OCO.", "POST", "orderList/oco", {**LIST, "aboveType": "TAKE_PROFIT"}),
    Row(
        "400 -1166 A limit order in a sell OCO must be above.",
        "POST",
        "orderList/oco",
        {**LIST, "aboveType": "STOP_LOSS", "belowType": "LIMIT_MAKER"},
    ),
    Row(mandatory("abovePrice"), "POST", "orderList/oco", {**LIST, "belowStopPrice": "90"}),
    Row(
        unneeded("belowPrice"),
        "POST",
        "orderList/oco",
        {**LIST, "abovePrice": "110", "belowStopPrice": "90", "belowPrice": "89"},
    ),
    Row("400 -2013 Order list does not exist.", "GET", "orderList", {"orderListId": "99999"}),
    Row("400 -2011 Unknown order sent.", "DELETE", "openOrders", {"symbol": "ETH-EUR"}),
]
PUBLIC = [
    Row(mandatory("symbol"), "GET", "depth", {}),
    Row("400 -1105 Parameter 'symbol' was empty.", "GET", "depth", {"symbol": ""}),
    Row("400 -1101 Too many parameters; expected '0' and received '1'.", "GET", "time", {"a": "1"}),
    Row("400 -1101 Duplicate values for a parameter detected.", "GET", "depth", {"symbol": ["BTCUSD", "BTCUSD"]}),
    Row(
        "400 -1100 Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,19}$'.",
        "GET",
        "depth",
        {"symbol": "BTCUSD", "limit": "-5"},
    ),
    Row("400 -1139 Invalid ticker type.", "GET", "ticker/24hr", {"type": "HUGE"}),
    Row("400 -1122 Invalid symbolStatus.", "GET", "ticker/price", {"symbolStatus": "OPEN"}),
    Row("400 -1120 Invalid interval.", "GET", "klines", {"symbol": "BTCUSD", "interval": "8h"}),
    Row(COMBINED, "GET", "aggTrades", {"symbol": "BTCUSD", "fromId": "1", "startTime": "1"}),
    Row(COMBINED, "GET", "ticker/price", {"symbol": "BTCUSD", "symbols": '["BTCUSD"]'}),
    Row(
        "400 -1151 Symbol is present multiple times in the list.",
        "GET",
        "ticker/price",
        {"symbols": '["BTCUSD","BTCUSD"]'},
    ),
    Row("400 -1121 Invalid symbol.", "GET", "exchangeInfo", {"symbols": '["BTCUSD","NO"]'}),
    Row(
        "400 -1100 Illegal characters found in parameter 'symbols'; legal range is"
        r""" '^\["[A-Z0-9-_.]{1,33}"(,"[A-Z0-9-_.]{1,33}"){0,}\]$'.""",
        "GET",
        "ticker/24hr",
        {"symbols": "[BTCUSD"},
    ),
    Row(
        "400 -1130 Data sent for parameter 'permissions' is not valid.",
        "GET",
        "exchangeInfo",
        {"permissions": "MARGIN"},
    ),
    Row("404 -1020 This operation is not supported.", "GET", "nothing", {}),
    Row("405 -1020 This operation is not supported.", "POST", "depth", {}),
    Row("401 -2014 API-key format invalid.", "GET", "account", {}),
    Row("401 -2014 API-key format invalid.", "POST", "userDataStream", {}),
]


@pytest.fixture
def bot(world: World) -> Bot:
    """Alice's, in a market with limits, whose last price is 100; with an order that rests and one that is done."""
    change_market(read_market(world.symbol), min_notional=Decimal(1), price_band=Decimal("0.5"))
    known_market.cache_clear()
    world.play(world.bob, "sell 1 @ 100", clientOrderId="bobs")
    world.play(world.alice, "buy 1 @ 100", clientOrderId="done")
    world.play(world.alice, "buy 1 @ 50", clientOrderId="mine")
    world.staff.call(
        "POST", "/markets", {"symbol": "ETH-EUR", "base": "ETH", "quote": "EUR", "tickSize": "1", "lotSize": "1"}
    )
    return Bot.of(world.alice)


def test_each_rule_says_what_binance_says(world: World, bot: Bot) -> None:
    before = stored_rows()
    found = []
    for row in (*NEW_ORDERS, *OTHERS):
        sent = {name: value for name, value in row.parameters.items() if value is not None}
        found.append((row, summary_of(bot.call(row.method, row.path, **sent))))
    for row in PUBLIC:
        client = Client(raise_request_exception=False)
        answer: Any = (
            client.get(f"{API}/{row.path}", row.parameters) if row.method == "GET" else client.post(f"{API}/{row.path}")
        )
        answer.body = answer.json()
        found.append((row, summary_of(answer)))
        assert answer.body.keys() == {"code", "msg"}
    assert [(row.path, row.parameters, row.expected, got) for row, got in found if got != row.expected] == []
    assert stored_rows() == before, "what is refused stores nothing"
    assert len(found) >= 80


def signed(bot: Bot, text: str) -> str:
    return f"{text}&signature={bot.sign(text)}"


SIGNATURES: dict[str, Callable[[Bot], str]] = {
    mandatory("timestamp"): lambda bot: signed(bot, "recvWindow=5000"),
    mandatory("signature"): lambda bot: f"timestamp={now_ms()}",
    "400 -1022 Signature for this request is not valid.": lambda bot: f"{signed(bot, f'timestamp={now_ms()}')[:-1]}x",
    "400 -1021 Timestamp for this request is outside of the recvWindow.": lambda bot: signed(
        bot, f"timestamp={now_ms(-5100)}"
    ),
    "400 -1021 Timestamp for this request was 1000ms ahead of the server's time.": lambda bot: signed(
        bot, f"timestamp={now_ms(2000)}"
    ),
    "400 -1131 recvWindow must be less than 60000": lambda bot: signed(bot, f"timestamp={now_ms()}&recvWindow=60001"),
    "400 -1100 Illegal characters found in parameter 'timestamp'; legal range is '^[0-9]{1,20}$'.": lambda bot: signed(
        bot, "timestamp=now"
    ),
    "400 -1101 Duplicate values for a parameter detected.": lambda bot: signed(
        bot, f"timestamp={now_ms()}&timestamp={now_ms()}"
    ),
    "400 -1104 Not all sent parameters were read; read '2' parameter(s) but was sent '3'.": lambda bot: signed(
        bot, f"timestamp={now_ms()}&symbol=BTCUSD"
    ),
}


@pytest.mark.parametrize("expected", SIGNATURES)
def test_each_rule_of_signing(bot: Bot, expected: str) -> None:
    assert summary_of(bot.send("GET", f"account?{SIGNATURES[expected](bot)}")) == expected
    assert bot.call("GET", "account").status_code == 200


def test_a_key_that_may_not(world: World) -> None:
    refused = "401 -2015 Invalid API-key, IP, or permissions for action."
    reader, writer = Bot.of(world.alice, "read"), Bot.of(world.alice, "trade")
    elsewhere = Bot.of(world.alice, addresses=["10.0.0.0/8"])
    assert summary_of(reader.place("buy 1 @ 100")) == refused
    assert summary_of(writer.call("GET", "account")) == refused
    assert summary_of(elsewhere.call("GET", "account")) == refused
    assert summary_of(elsewhere.send("POST", "userDataStream")) == refused
    reader.key.key_id = "0" * 32
    assert summary_of(reader.call("GET", "account")) == refused
    reader.key.key_id = "short"
    assert summary_of(reader.call("GET", "account")) == "401 -2014 API-key format invalid."
    assert not Order.objects.exists()


def test_what_is_asked_by_the_name_of_a_key_is_no_use_of_its_owners(world: World, bot: Bot) -> None:
    """Clients slow down by this figure, and the name of a key is no secret."""
    before = int(bot.call("GET", "account")["X-MBX-USED-WEIGHT-1M"])
    bot.send("POST", "userDataStream")
    after = int(bot.call("GET", "account")["X-MBX-USED-WEIGHT-1M"])
    assert after in (before + 20, 20), "or a new minute has begun"


def test_a_write_is_good_once_and_a_read_again(world: World, bot: Bot) -> None:
    read_once = f"openOrders?{bot.signed({'symbol': 'BTCUSD'})}"
    assert [bot.send("GET", read_once).status_code for _ in range(2)] == [200, 200]
    assert summary_of(bot.send("DELETE", read_once)) == "400 -1022 Signature for this request is not valid."
    form = bot.signed(order("buy 1 @ 60"))
    assert bot.send("POST", "order", form).status_code == 200
    assert summary_of(bot.send("POST", "order", form)) == "400 -1022 Signature for this request is not valid."
    # The parameters may come in the query, in the form, or in both.
    text = bot.signed(order("buy 1 @ 61"))
    assert bot.send("POST", f"order?{text}").status_code == 200
    fields = order("buy 1 @ 62")
    query, rest = f"symbol={fields.pop('symbol')}", "&".join(f"{name}={value}" for name, value in fields.items())
    rest += f"&timestamp={now_ms()}"
    assert bot.send("POST", f"order?{query}", f"{rest}&signature={bot.sign(query + rest)}").status_code == 200


@override_settings(INTAKE_MAX_WAITING_PER_USER=1)
def test_too_many_orders_that_wait(world: World, bot: Bot) -> None:
    bot.place("buy 1 @ 60")
    bot.place("buy 1 @ 60")
    find_backlog.cache_clear()
    assert summary_of(bot.place("buy 1 @ 60")).startswith("429 -1015 ")


@pytest.mark.parametrize(
    ("status", "expected"),
    [("HALTED", "Market is closed."), ("CANCEL_ONLY", "Market is closed."), ("AUCTION", "Market is closed.")],
)
def test_a_market_that_is_closed(world: World, bot: Bot, status: str, expected: str) -> None:
    world.switch(status)
    line = "buy 1 market" if status == "AUCTION" else "buy 1 @ 60"
    assert summary_of(bot.place(line)) == f"400 -2010 {expected}"
    world.switch("DELISTED")
    assert summary_of(bot.place(line)) == "400 -1121 Invalid symbol."


def test_a_key_that_was_revoked(world: World, bot: Bot) -> None:
    world.alice.call("DELETE", f"/keys/{bot.key.key_id}")
    assert summary_of(bot.place("buy 1 @ 60")) == "401 -2015 Invalid API-key, IP, or permissions for action."


@override_settings(RATE_LIMIT=3)
def test_whoever_asks_too_often(world: World, bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "_window", LocalWindow())
    answers = [bot.call("GET", "account") for _ in range(31)]
    assert [answer.status_code for answer in answers] == [200] * 30 + [429], "a burst of ten seconds' worth"
    assert answers[30].body["code"] == -1003
    assert answers[30].body["msg"].startswith("more than 30 requests in 10 seconds")
    assert 8 <= int(answers[30]["Retry-After"]) <= 10
    assert world.alice.call("GET", "/account").status_code == 200, "counted by itself"
    assert bot.call("DELETE", "order", symbol="BTCUSD", origClientOrderId="mine").status_code == 200, "its own bucket"
    used = int(answers[29]["X-MBX-USED-WEIGHT-1M"])
    assert used >= 600 or time.time() % 60 < 5, "twenty for each, within a minute"
    # Nor has it a thread again before the second is over.
    head = Head("GET", f"{API}/account", {"x-mbx-apikey": bot.key.key_id})
    refusal = refusal_of(head, "127.0.0.1")
    assert refusal is not None
    assert error_body(refusal.error)["code"] == -1003
    assert refusal_of(Head("GET", f"{API}/account", {"x-mbx-apikey": "another"}), "127.0.0.1") is None
    limits = read("exchangeInfo").body["rateLimits"]
    assert limits == [{"rateLimitType": "RAW_REQUESTS", "interval": "SECOND", "intervalNum": 10, "limit": 30}]


@override_settings(RATE_LIMIT=1)
def test_whoever_adds_the_name_of_anothers_key_slows_down_nobody_else(
    world: World, bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused at once goes by what the refused request signed in by, and not by what it brought beside that."""
    monkeypatch.setattr(meter, "_window", LocalWindow())
    monkeypatch.setattr(meter, "_waits", Waits())
    other = Bot.of(world.bob)
    headers = {"X-API-Key": bot.key.key_id, "X-MBX-APIKEY": other.key.key_id}
    for _ in range(12):
        last = other.client.get(f"{API}/account?{other.signed({})}", headers=headers).status_code
    assert last == 429
    for _ in range(3):
        last = world.bob.call("GET", "/account", **{"X-MBX-APIKEY": bot.key.key_id}).status_code
    assert last == 429
    for path, header in ((f"{API}/account", "x-mbx-apikey"), ("/api/v1/account", "x-api-key")):
        assert refusal_of(Head("GET", path, {header: bot.key.key_id}), "127.0.0.1") is None
    assert refusal_of(Head("GET", f"{API}/account", {"x-mbx-apikey": other.key.key_id}), "127.0.0.1") is not None


def test_without_redis_a_bot_reads_and_cancels_and_places_nothing(world: World, bot: Bot) -> None:
    forget_breakers()
    before = Order.objects.count()
    with override_settings(REDIS_URL="redis://127.0.0.1:1/1"):
        form = bot.signed(order("buy 1 @ 60"))
        assert summary_of(bot.send("POST", "order/test", form)).startswith("503 -1007 "), "it would sign the order too"
        assert summary_of(bot.place("buy 1 @ 60")).startswith("503 -1007 ")
        assert bot.call("GET", "account").status_code == 200
        assert bot.call("DELETE", "order", symbol="BTCUSD", origClientOrderId="mine").status_code == 200
        assert "X-MBX-USED-WEIGHT-1M" not in read("ping").headers
    forget_breakers()
    assert Order.objects.count() == before


# What a slip of the pen, a fuzzer or an attacker may send for any parameter.
NASTY = (
    *("", "0", "-1", "1e5", "NaN", "9" * 19, "9" * 400, "0.00000001", "0.000000001", "999999999999.99999999"),
    *("\x00", "\u00e9", "BTCUSD\n", "[]", "[" * 5000, "[1]", '{"a":1}', "\u0661\u0662", " 1", "%00", "x" * 64),
    *("BTCUSD", "BUY", "SELL", "LIMIT", "MARKET", "STOP_LOSS_LIMIT", "GTC", "FULL", "true", "1", "100", "99.99", "1m"),
    *("ALLOW_FAILURE", "id-1", "id-99999999999999999999", "-limit", "1795976503836"),
)


def test_nothing_that_is_sent_breaks_anything(world: World, bot: Bot) -> None:
    seed = random.randrange(10**6)
    drawn, ours = random.Random(seed), {"symbol": "BTCUSD", "quantity": "1", "price": "60", "timeInForce": "GTC"}
    for each in (each for each in served() if each.path.startswith(f"{API}/")):
        for _ in range(4):
            names = [parameter.name for parameter in each.handler.endpoint.parameters if drawn.random() < 0.8]
            sent = {name: drawn.choice(NASTY) for name in names}
            sent |= {name: value for name, value in ours.items() if name in names and drawn.random() < 0.7}
            answer = bot.call(each.method, each.path.removeprefix(f"{API}/"), **sent)
            assert answer.status_code < 500, (seed, each, sent, answer.body)
    world.match()


def test_bodies_that_are_none(bot: Bot) -> None:
    for body in ("{}", "x" * 70_000, "&".join(f"a{number}=1" for number in range(200)), "\x00=%ff", "==&&"):
        answer = bot.send("POST", "order", body)
        assert 400 <= answer.status_code < 500, body[:20]
        assert answer.body["code"] < 0
