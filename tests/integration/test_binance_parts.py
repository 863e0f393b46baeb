"""The parts of the Binance-compatible API that others build on: names of markets, signatures, listen keys, words."""

import base64
import hashlib
import hmac
import time
from decimal import Decimal
from typing import Any

import pytest

from base.web.authentication import Caller
from base.web.errors import ExchangeError, InvalidField, ValidationFailed
from base.web.keys.known import forget_keys, known_key
from binance_api import representation
from binance_api.errors import Answer, Refused, answer_of
from binance_api.listen_keys import close_listen_key, open_listen_key, renew_listen_key, user_of_listen_key
from binance_api.signing import read_signed, rest_payload, sign_in, socket_payload
from binance_api.symbols import binance_name, market_named, markets_named, names
from core.types import Reason, Status
from markets.services import change_market, create_market, known_market, read_market
from orders.models import Order
from orders.trails import show_order
from tests.support.signing import Signer
from tests.support.world import World


def refuses(code: int, call: object, *arguments: object) -> bool:
    """Whether the call refuses with that code."""
    with pytest.raises((Refused, ExchangeError)) as refusal:
        call(*arguments)  # type: ignore[operator]
    return answer_of(refusal.value).number == code  # type: ignore[arg-type]


def test_markets_are_called_by_their_symbol_with_and_without_hyphens(world: World) -> None:
    assert market_named("BTCUSD").symbol == market_named("BTC-USD").symbol == "BTC-USD"
    assert binance_name("BTC-USD") == "BTCUSD"
    for unknown in ("ETHUSD", "BTCUS", "BT-CUSD"):
        assert refuses(-1121, market_named, unknown)
    for illegal in ("btcusd", "BTC/USD", "", "B" * 34):
        assert refuses(-1100, market_named, illegal)


def test_a_market_that_is_named_again_costs_no_query(world: World, django_assert_num_queries: Any) -> None:
    market_named("BTCUSD")
    with django_assert_num_queries(0):
        assert (market_named("BTCUSD").symbol, binance_name("BTC-USD")) == ("BTC-USD", "BTCUSD")


def test_many_markets_cost_one_query(world: World, django_assert_num_queries: Any) -> None:
    for base in ("ETH", "LTC"):
        create_market(symbol=f"{base}-USD", base=base, quote="USD", tick_size=Decimal(1), lot_size=Decimal(1))
    names.cache_clear()
    binance_name("BTC-USD")
    with django_assert_num_queries(1):
        found = [market.base.code for market in markets_named(["LTCUSD", "BTC-USD", "ETHUSD"])]
    assert found == ["LTC", "BTC", "ETH"], "in the order in which they are asked for"
    assert refuses(-1121, markets_named, ["BTCUSD", "NO"])
    assert refuses(-1151, markets_named, ["BTCUSD", "BTC-USD"]), "one market by two names"


def test_two_markets_that_would_have_one_name_have_none(world: World) -> None:
    for symbol, base, quote in (("A-BC", "A", "BC"), ("AB-C", "AB", "C")):
        create_market(symbol=symbol, base=base, quote=quote, tick_size=Decimal("0.01"), lot_size=Decimal("0.01"))
    names.cache_clear()
    assert refuses(-1121, market_named, "ABC")
    assert [binance_name(symbol) for symbol in ("A-BC", "AB-C")] == ["A-BC", "AB-C"]
    assert market_named("A-BC").base_id == "A"
    change_market(read_market("A-BC"), status="DELISTED")
    names.cache_clear()
    assert market_named("ABC").symbol == "AB-C", "a market that is gone has no name"
    assert refuses(-1121, market_named, "A-BC")


def test_a_market_without_a_hyphen_keeps_its_name(world: World) -> None:
    create_market(symbol="BTCUSD", base="B", quote="T", tick_size=Decimal("0.01"), lot_size=Decimal("0.01"))
    names.cache_clear()
    known_market.cache_clear()
    assert market_named("BTCUSD").base_id == "B"
    assert binance_name("BTC-USD") == "BTC-USD"


def signed_by(key: Signer, text: bytes) -> str:
    if key.private is not None:
        return base64.b64encode(key.private.sign(text)).decode()
    return hmac.new(key.secret.encode(), text, hashlib.sha256).hexdigest()


def stamp(ahead: int = 0) -> str:
    return str(int(time.time() * 1000) + ahead)


def logon(key: Signer, **fields: str) -> Caller:
    """As `session.logon` of the WebSocket API signs in."""
    parameters = {"apiKey": key.key_id, "timestamp": stamp(), **fields}
    parameters.setdefault("signature", signed_by(key, socket_payload(parameters)))
    return sign_in(read_signed(key.key_id, parameters, socket_payload(parameters), "127.0.0.1", opens_socket=True))


@pytest.mark.parametrize("algorithm", ["HMAC", "ED25519"])
def test_a_socket_signs_in_by_its_parameters_in_the_order_of_their_names(world: World, algorithm: str) -> None:
    key = Signer.of(world.alice, "read", algorithm=algorithm)
    assert socket_payload({"timestamp": "1", "apiKey": "k", "signature": "s"}) == b"apiKey=k&timestamp=1"
    fields = {"timestamp": stamp(-1)}
    assert logon(key, **fields).id == world.alice.user.id
    assert refuses(-1022, lambda: logon(key, **fields))
    assert refuses(-1022, lambda: logon(key, signature="0" * 64))
    assert refuses(-1021, lambda: logon(key, timestamp=stamp(-5_500)))
    assert logon(key, timestamp=stamp(-5_500), recvWindow="20000").id == world.alice.user.id
    assert refuses(-1021, lambda: logon(key, timestamp=stamp(2_000)))
    assert refuses(-1131, lambda: logon(key, recvWindow="60001"))
    assert refuses(-1102, lambda: logon(key, timestamp=""))
    assert refuses(-1100, lambda: logon(key, timestamp="now"))


def test_a_time_may_be_in_microseconds(world: World) -> None:
    assert logon(Signer.of(world.alice, "read"), timestamp=stamp() + "123").id == world.alice.user.id


def test_a_key_that_is_none(world: World) -> None:
    assert refuses(-2014, read_signed, "no key", {}, b"", "127.0.0.1")
    assert refuses(-2015, lambda: logon(Signer("0" * 32, "secret")))


def test_what_is_signed_over_rest_is_what_was_sent() -> None:
    assert rest_payload(b"symbol=BTCUSD&signature=ab", b"side=BUY") == b"symbol=BTCUSDside=BUY"
    assert rest_payload(b"", b"a=%20&timestamp=1&signature=ab") == b"a=%20&timestamp=1"


HERE = "127.0.0.1"


def rest_call(key: Signer, method: str, text: str) -> Caller:
    parameters = dict(part.split("=") for part in text.split("&")) | {"signature": signed_by(key, text.encode())}
    return sign_in(read_signed(key.key_id, parameters, text.encode(), "127.0.0.1", method=method, path="/api/v3/order"))


def test_a_read_may_come_again_and_becomes_no_write(world: World) -> None:
    key = Signer.of(world.alice, "read", "trade")
    read, write = f"symbol=BTCUSD&timestamp={stamp()}", f"symbol=BTCUSD&timestamp={stamp(1)}"
    assert {rest_call(key, "GET", read).id for _ in range(3)} == {world.alice.user.id}
    assert refuses(-1022, rest_call, key, "DELETE", read)
    assert rest_call(key, "POST", write).id == world.alice.user.id
    assert refuses(-1022, rest_call, key, "POST", write)
    assert rest_call(key, "GET", write).id == world.alice.user.id


def test_a_listen_key_follows_the_account_of_its_key_while_that_is_good(world: World) -> None:
    alice, bob = (known_key(Signer.of(who, "read").key_id) for who in (world.alice, world.bob))
    text = open_listen_key(alice)
    assert user_of_listen_key(text, HERE).id == world.alice.user.id
    assert open_listen_key(alice) == text != open_listen_key(bob)
    renew_listen_key(text, alice)
    for refused in (lambda: renew_listen_key(text, bob), lambda: close_listen_key(text, bob)):
        assert refuses(-1125, refused)
    for unknown in ("", "x" * 64, "é" * 64, text[:-1]):
        assert refuses(-1125, user_of_listen_key, unknown, HERE)
    close_listen_key(text, alice)
    assert refuses(-1125, user_of_listen_key, text, HERE)
    again = open_listen_key(alice)
    assert again != text
    world.alice.call("DELETE", f"/keys/{alice.key_id}")
    forget_keys(world.alice.user.id)
    assert refuses(-1125, user_of_listen_key, again, HERE)


def test_a_listen_key_is_used_where_its_key_may_be(world: World) -> None:
    made = world.alice.call("POST", "/keys", {"label": "x", "scopes": ["read"], "addresses": ["10.0.0.0/8"]})
    text = open_listen_key(known_key(made.body["data"]["keyId"]))
    assert user_of_listen_key(text, "10.1.2.3").id == world.alice.user.id
    assert refuses(-1125, user_of_listen_key, text, HERE)


def test_a_listen_key_needs_the_scope_to_read(world: World) -> None:
    assert refuses(-2015, open_listen_key, known_key(Signer.of(world.alice, "trade").key_id))


def test_of_several_broken_rules_the_first_is_told() -> None:
    price = InvalidField("price", "PRICE_OFF_TICK", "price 1.001 is not a multiple of 0.01")
    other = InvalidField("quantity", "QUANTITY_OFF_LOT", "...")
    filtered = Answer(-1013, "Filter failure: PRICE_FILTER", 400)
    assert answer_of(price) == answer_of(ValidationFailed([price, other])) == filtered
    assert answer_of(ExchangeError("the disk is full")).body == {
        "code": -1000,
        "msg": "An unknown error occurred while processing the request.",
    }


@pytest.mark.parametrize(
    ("status", "reason", "is_active", "name"),
    [
        ("PENDING", None, True, "NEW"),
        ("WAITING", None, True, "NEW"),
        ("TRIGGERED", None, True, "NEW"),
        ("PARTIALLY_FILLED", None, True, "PARTIALLY_FILLED"),
        ("PARTIALLY_FILLED", "IOC_REMAINDER", False, "EXPIRED"),
        ("CANCELLED", "USER_CANCELLED", False, "CANCELED"),
        ("CANCELLED", "SELF_TRADE", False, "EXPIRED_IN_MATCH"),
        ("CANCELLED", "OCO", False, "EXPIRED"),
        ("REJECTED", "NO_LIQUIDITY", False, "EXPIRED"),
        ("REJECTED", "WOULD_TAKE", False, "REJECTED"),
        ("EXPIRED", "FOK_NOT_FILLABLE", False, "EXPIRED"),
        ("FAILED", "INTERNAL_ERROR", False, "REJECTED"),
    ],
)
def test_states_in_their_words(status: str, reason: str | None, is_active: bool, name: str) -> None:
    assert representation.status_name(status, reason, is_active) == name


def test_every_state_and_reason_has_a_word() -> None:
    words = {
        representation.status_name(status, reason, is_active)
        for status in Status
        for reason in (None, *Reason)
        for is_active in (True, False)
    }
    assert words == {"NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH"}


def test_an_order_in_their_words(world: World) -> None:
    world.play(world.bob, "sell 1 @ 100")
    made = world.play(world.alice, "buy 3 @ 101 post-only")
    order = Order.objects.get(id=world.play(world.alice, "buy 2 @ 102")["orderId"])
    shown = representation.order(show_order(order), order.self_trade_prevention)
    assert made["status"] == "REJECTED"
    assert shown | {"time": 0, "updateTime": 0, "workingTime": 0} == {
        "symbol": "BTCUSD",
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": f"id-{order.id}",
        "price": "102.00000000",
        "origQty": "2.00000000",
        "executedQty": "1.00000000",
        "origQuoteOrderQty": "0.00000000",
        "cummulativeQuoteQty": "100.00000000",
        "status": "PARTIALLY_FILLED",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": 0,
        "updateTime": 0,
        "isWorking": True,
        "workingTime": 0,
        "selfTradePreventionMode": "EXPIRE_TAKER",
    }
    assert abs(shown["time"] - time.time() * 1000) < 60_000
