"""Hostile and careless input: always a 4xx that names the rule, and nothing stored."""

import json
from typing import Any

import pytest

from orders.models import Order
from tests.support.world import World, stored_rows

GOOD_ORDER = {"symbol": "BTC-USD", "side": "BUY", "type": "LIMIT", "price": "100", "quantity": "1"}
GOOD_TRANSFER = {"currency": "USD", "amount": "5", "reason": "gift", "reference": "r-1"}
GOOD_USER = {"username": "dora", "email": "dora@example.com", "password": "correct horse"}
GOOD_MARKET = {"symbol": "ETH-USD", "base": "ETH", "quote": "USD", "tickSize": "0.01", "lotSize": "0.001"}
# Its name is the same in every process, so that xdist recognizes the tests by their names.
MISSING = ...

BAD_DECIMALS = [
    (1, "DECIMAL_STRING_REQUIRED"),
    (1.5, "DECIMAL_STRING_REQUIRED"),
    (True, "DECIMAL_STRING_REQUIRED"),
    ([], "DECIMAL_STRING_REQUIRED"),
    ({}, "DECIMAL_STRING_REQUIRED"),
    (None, "FIELD_REQUIRED"),
    ("", "INVALID_DECIMAL"),
    (" 1 ", "INVALID_DECIMAL"),
    ("1\n", "INVALID_DECIMAL"),
    ("+1", "INVALID_DECIMAL"),
    ("1e3", "INVALID_DECIMAL"),
    ("1e999999999", "INVALID_DECIMAL"),
    ("NaN", "INVALID_DECIMAL"),
    ("sNaN", "INVALID_DECIMAL"),
    ("Infinity", "INVALID_DECIMAL"),
    ("0x10", "INVALID_DECIMAL"),
    ("1_000", "INVALID_DECIMAL"),
    ("1,5", "INVALID_DECIMAL"),
    (".5", "INVALID_DECIMAL"),
    ("5.", "INVALID_DECIMAL"),
    ("\uff11\uff12", "INVALID_DECIMAL"),
    ("\u0663", "INVALID_DECIMAL"),
    ("1\x00", "INVALID_DECIMAL"),
    ("1000000000000", "INVALID_DECIMAL"),
    ("0.000000001", "INVALID_DECIMAL"),
    ("9" * 5000, "INVALID_DECIMAL"),
    ("0", "MUST_BE_POSITIVE"),
    ("-0", "MUST_BE_POSITIVE"),
    ("-1", "MUST_BE_POSITIVE"),
]


def refused(world: World, who: str, method: str, path: str, body: Any) -> Any:
    """Send it; the answer, once it was proved to be a named 4xx that stored nothing."""
    before = stored_rows()
    answer = getattr(world, who).call(method, path, body)
    assert 400 <= answer.status_code < 500, (body, answer.status_code, answer.content)
    assert answer.body["code"] == answer.status_code
    assert answer.body["error"].isupper()
    assert set(answer.body) == {"code", "error", "message", "data", "timestamp"}
    assert stored_rows() == before
    return answer


def changed(good: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    return {name: each for name, each in {**good, field: value}.items() if each is not MISSING}


def errors_of(answer: Any) -> set[tuple[str, str]]:
    body = answer.body
    if body["error"] != "VALIDATION_FAILED":
        return {(body["data"]["field"], body["error"])}
    return {(error["field"], error["error"]) for error in body["data"]["errors"]}


@pytest.mark.parametrize("field", ["price", "quantity"])
@pytest.mark.parametrize(("value", "error"), BAD_DECIMALS, ids=lambda value: repr(value)[:20])
def test_order_decimals(world, field, value, error):
    answer = refused(world, "alice", "POST", "/orders", changed(GOOD_ORDER, field, value))
    assert errors_of(answer) == {(field, error)}


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("symbol", MISSING, "FIELD_REQUIRED"),
        ("symbol", None, "FIELD_REQUIRED"),
        ("symbol", 5, "STRING_REQUIRED"),
        ("symbol", "btc-usd", "INVALID_FORMAT"),
        ("symbol", "BTC-USD\n", "INVALID_FORMAT"),
        ("symbol", "\uff22TC-USD", "INVALID_FORMAT"),
        ("symbol", "BTC-USD\x00", "INVALID_FORMAT"),
        ("symbol", "X" * 1000, "TOO_LONG"),
        ("symbol", "DOGE-USD", "MARKET_NOT_FOUND"),
        ("side", MISSING, "FIELD_REQUIRED"),
        ("side", "buy", "INVALID_CHOICE"),
        ("side", "HOLD", "INVALID_CHOICE"),
        ("side", 1, "INVALID_CHOICE"),
        ("side", ["BUY"], "INVALID_CHOICE"),
        ("side", {"BUY": 1}, "INVALID_CHOICE"),
        ("type", MISSING, "FIELD_REQUIRED"),
        ("type", "PEG", "INVALID_CHOICE"),
        ("quantity", MISSING, "FIELD_REQUIRED"),
        ("quantity", "0.00001", "QUANTITY_OFF_LOT"),
        ("quantity", "1000000000.0001", "QUANTITY_TOO_LARGE"),
        ("price", MISSING, "FIELD_REQUIRED"),
        ("price", "100.001", "PRICE_OFF_TICK"),
        ("price", "90000000000.01", "PRICE_TOO_LARGE"),
        ("quantity", "900000001", "NOTIONAL_TOO_LARGE"),
        ("timeInForce", "GTX", "INVALID_CHOICE"),
        ("timeInForce", None, "FIELD_REQUIRED"),
        ("postOnly", "yes", "BOOLEAN_REQUIRED"),
        ("postOnly", 1, "BOOLEAN_REQUIRED"),
        ("selfTradePrevention", "ALWAYS", "INVALID_CHOICE"),
        ("clientOrderId", "", "INVALID_FORMAT"),
        ("clientOrderId", "a b", "INVALID_FORMAT"),
        ("clientOrderId", "\u00e1bc", "INVALID_FORMAT"),
        ("clientOrderId", "x" * 65, "TOO_LONG"),
        ("clientOrderId", 17, "STRING_REQUIRED"),
        ("quoteQuantity", "5", "FIELD_NOT_ALLOWED"),
        ("userId", "me", "INVALID_ID"),
        ("userId", -1, "INVALID_ID"),
        ("userId", 1.0, "INVALID_ID"),
        ("userId", True, "INVALID_ID"),
        ("status", "FILLED", "FIELD_UNKNOWN"),
        ("user", 1, "FIELD_UNKNOWN"),
        ("\u2603" * 100, 1, "FIELD_UNKNOWN"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_order_fields(world, field, value, error):
    answer = refused(world, "alice", "POST", "/orders", changed(GOOD_ORDER, field, value))
    assert error in {error for _, error in errors_of(answer)}
    named = {"price": {"price", "quantity"}}.get(field, {field})
    assert {name for name, _ in errors_of(answer)} & named or field.startswith("\u2603")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"type": "MARKET", "price": "1"}, {("price", "FIELD_NOT_ALLOWED")}),
        ({"type": "MARKET", "price": MISSING, "timeInForce": "IOC"}, {("timeInForce", "FIELD_NOT_ALLOWED")}),
        ({"type": "MARKET", "price": MISSING, "postOnly": True}, {("postOnly", "FIELD_NOT_ALLOWED")}),
        (
            {"type": "MARKET", "price": MISSING, "quantity": MISSING, "quoteQuantity": "5", "side": "SELL"},
            {("quoteQuantity", "FIELD_NOT_ALLOWED")},
        ),
        ({"type": "MARKET", "price": MISSING, "quoteQuantity": "5"}, {("quoteQuantity", "FIELD_NOT_ALLOWED")}),
        ({"type": "MARKET", "price": MISSING, "quantity": MISSING}, {("quantity", "FIELD_REQUIRED")}),
        ({"postOnly": True, "timeInForce": "IOC"}, {("postOnly", "FIELD_NOT_ALLOWED")}),
    ],
    ids=str,
)
def test_order_fields_that_exclude_each_other(world, body, expected):
    fields = {name: value for name, value in {**GOOD_ORDER, **body}.items() if value is not MISSING}
    assert errors_of(refused(world, "alice", "POST", "/orders", fields)) == expected


def test_several_errors_are_told_at_once(world):
    body = {**GOOD_ORDER, "side": "UP", "price": "1.001", "quantity": 3, "extra": 1}
    answer = refused(world, "alice", "POST", "/orders", body)
    assert (answer.status_code, answer.body["error"]) == (400, "VALIDATION_FAILED")
    assert errors_of(answer) == {
        ("side", "INVALID_CHOICE"),
        ("price", "PRICE_OFF_TICK"),
        ("quantity", "DECIMAL_STRING_REQUIRED"),
        ("extra", "FIELD_UNKNOWN"),
    }


def test_one_error_carries_its_values(world):
    answer = refused(world, "alice", "POST", "/orders", changed(GOOD_ORDER, "price", "100.001"))
    assert answer.body["error"] == "PRICE_OFF_TICK"
    assert answer.body["message"] == "price 100.001 is not a multiple of 0.01"
    assert answer.body["data"] == {"field": "price", "tickSize": "0.01"}


BODIES = [
    (b"", 400),
    (b"{", 400),
    (b"null", 400),
    (b"[]", 400),
    (b'"x"', 400),
    (b"\xff\xfe{}", 400),
    (b"\xef\xbb\xbf{}", 400),
    (json.dumps(GOOD_ORDER).encode("utf-16"), 400),
    (b'{"a":1,"a":2}', 400),
    (b'{"price":NaN}', 400),
    (b'{"price":Infinity}', 400),
    (b'{"price":' + b"9" * 5000 + b"}", 400),
    (b'{"price":1e999999}', 400),
    (b"[" * 1000, 400),
    (b'{"a":' * 1000 + b"1" + b"}" * 1000, 400),
    (b'{"a":"' + b"x" * 70_000 + b'"}', 413),
]


@pytest.mark.parametrize(("body", "status"), BODIES, ids=lambda value: repr(value)[:24])
@pytest.mark.parametrize("path", ["/orders", "/users", "/auth/token", "/auth/token/refresh", "/balances/update"])
def test_bodies_that_are_no_json_objects(world, path, body, status):
    assert refused(world, "staff", "POST", path, body).status_code == status


def test_other_content_types(world):
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = world.alice.client.generic("POST", "/api/v1/orders", json.dumps(GOOD_ORDER), content_type)
        assert answer.status_code in (400, 415), content_type
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        *[
            ("amount", value, error)
            for value, error in BAD_DECIMALS
            if error in {"DECIMAL_STRING_REQUIRED", "INVALID_DECIMAL"}
        ],
        ("amount", "0", "MUST_NOT_BE_ZERO"),
        ("amount", "90000000001", "AMOUNT_TOO_LARGE"),
        ("amount", "-10000.01", "INSUFFICIENT_FUNDS"),
        ("currency", "usd", "INVALID_FORMAT"),
        ("currency", "DOGE", "ASSET_NOT_FOUND"),
        ("currency", MISSING, "FIELD_REQUIRED"),
        ("reason", "", "BLANK"),
        ("reason", "  ", "BLANK"),
        ("reason", "a\nb", "INVALID_FORMAT"),
        ("reason", "x" * 201, "TOO_LONG"),
        ("reference", "a b", "INVALID_FORMAT"),
        ("reference", MISSING, "FIELD_REQUIRED"),
        ("userId", 10**15, "USER_NOT_FOUND"),
        ("userId", 2**63, "INVALID_ID"),
        ("userId", "0", "INVALID_ID"),
        ("frozen", "1", "FIELD_UNKNOWN"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_transfers(world, field, value, error):
    good = {**GOOD_TRANSFER, "userId": world.alice.user.id}
    assert refused(world, "staff", "POST", "/balances/update", changed(good, field, value)).body["error"] == error


@pytest.mark.parametrize(
    ("field", "value", "error", "status"),
    [
        ("username", "alice", "USERNAME_TAKEN", 409),
        ("email", "alice@example.com", "EMAIL_TAKEN", 409),
        ("username", "", "INVALID_FORMAT", 400),
        ("username", "a b", "INVALID_FORMAT", 400),
        ("username", "x" * 65, "TOO_LONG", 400),
        ("username", 7, "STRING_REQUIRED", 400),
        ("email", "nobody", "INVALID_FORMAT", 400),
        ("email", "a@b\n", "INVALID_FORMAT", 400),
        ("password", "12345678", "PASSWORD_TOO_WEAK", 400),
        ("password", "short", "PASSWORD_TOO_WEAK", 400),
        ("password", "x" * 129, "TOO_LONG", 400),
        ("isStaff", True, "FIELD_UNKNOWN", 400),
    ],
)
def test_registration(world, field, value, error, status):
    answer = refused(world, "carol", "POST", "/users", changed(GOOD_USER, field, value))
    assert (answer.body["error"], answer.status_code) == (error, status)


@pytest.mark.parametrize(
    ("field", "value", "error", "status"),
    [
        ("symbol", "BTC-USD", "SYMBOL_TAKEN", 409),
        ("symbol", "eth-usd", "INVALID_FORMAT", 400),
        ("base", "USD", "INVALID_MARKET", 400),
        ("tickSize", "0", "MUST_BE_POSITIVE", 400),
        ("tickSize", "0.000001", "INVALID_MARKET", 400),
        ("takerFeeRate", "1", "INVALID_MARKET", 400),
        ("takerFeeRate", "-0.1", "MUST_NOT_BE_NEGATIVE", 400),
        ("minQuantity", "0.0001", "INVALID_MARKET", 400),
        ("maxQuantity", "0.0005", "VALIDATION_FAILED", 400),
        ("status", "OPEN", "INVALID_CHOICE", 400),
        ("scale", "8", "FIELD_UNKNOWN", 400),
        ("lotSize", MISSING, "FIELD_REQUIRED", 400),
    ],
)
def test_markets(world, field, value, error, status):
    answer = refused(world, "staff", "POST", "/markets", changed(GOOD_MARKET, field, value))
    assert (answer.body["error"], answer.status_code) == (error, status)


@pytest.mark.parametrize("order_id", ["0", "-1", "x", "1.5", str(2**63), "9" * 40, "%00", "%D9%A3", "1%20"])
def test_order_ids_that_name_nothing(world, order_id):
    for method in ("GET", "DELETE"):
        answer = refused(world, "alice", method, f"/orders/{order_id}", None)
        assert (answer.status_code, answer.body["error"]) == (404, "ORDER_NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/orders?limit=0", "LIMIT_OUT_OF_RANGE"),
        ("/orders?limit=501", "LIMIT_OUT_OF_RANGE"),
        ("/orders?limit=x", "LIMIT_OUT_OF_RANGE"),
        ("/orders?limit=%D9%A3", "LIMIT_OUT_OF_RANGE"),
        ("/orders?cursor=x", "INVALID_CURSOR"),
        ("/orders?cursor=" + "9" * 30, "INVALID_CURSOR"),
        ("/orders?status=open", "INVALID_CHOICE"),
        ("/orders?active=1", "INVALID_CHOICE"),
        ("/orders?userId=999999", "NOT_YOUR_ACCOUNT"),
        ("/orders?userId=x", "NOT_YOUR_ACCOUNT"),
        ("/orderbook/BTC-USD?limit=501", "LIMIT_OUT_OF_RANGE"),
        ("/orderbook/btc-usd", "MARKET_NOT_FOUND"),
        ("/orderbook/BTC-USD%00", "MARKET_NOT_FOUND"),
        ("/trades/%C3%A1", "MARKET_NOT_FOUND"),
        ("/trades/BTC-USD?limit=-1", "LIMIT_OUT_OF_RANGE"),
        ("/markets/NOPE", "MARKET_NOT_FOUND"),
        ("/users/0", "USER_NOT_FOUND"),
        ("/users/99999999999999999999", "USER_NOT_FOUND"),
        ("/orders/client/" + "k" * 3000, "ORDER_NOT_FOUND"),
        ("/nothing/here", "NOT_FOUND"),
        ("/klines/BTC-USD?startTime=", "INVALID_TIME"),
        ("/klines/BTC-USD?endTime=", "INVALID_TIME"),
        ("/orders?" + "&".join(["limit=1"] * 1001), "MALFORMED_REQUEST"),
    ],
    ids=lambda value: value[:40],
)
def test_queries_and_paths(world, path, error):
    assert refused(world, "alice", "GET", path, None).body["error"] == error


def test_a_host_that_is_not_ours(world):
    response = world.alice.call("GET", "/orders", Host="evil.example")
    assert (response.status_code, response.body["error"]) == (400, "MALFORMED_REQUEST")
    assert "ALLOWED_HOSTS" in response.body["message"]


def test_options_have_the_envelope(world):
    response = world.alice.client.options("/api/v1/orders")
    assert response.status_code == 200
    assert response.json().keys() == {"code", "message", "data", "timestamp"}
    assert response.json()["data"] == {"methods": ["GET", "POST", "DELETE", "HEAD", "OPTIONS"]}


def test_unknown_asset_and_one_never_held(world):
    mine = f"/balances/{world.alice.user.id}"
    assert refused(world, "alice", "GET", f"{mine}/DOGE", None).body["error"] == "ASSET_NOT_FOUND"
    assert world.alice.holds("BTC") == "0 0"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/orders"),
        ("POST", "/orders/1"),
        ("DELETE", "/markets/BTC-USD"),
        ("PATCH", "/users"),
        ("GET", "/auth/token"),
    ],
)
def test_methods_that_a_path_does_not_take(world, method, path):
    assert refused(world, "staff", method, path, None).status_code == 405


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/balances/update"), ("PUT", "/balances/update"), ("POST", "/markets"), ("PATCH", "/markets/BTC-USD")],
)
def test_what_only_staff_may_do(world, method, path):
    answer = refused(world, "alice", method, path, {})
    assert (answer.status_code, answer.body["error"]) == (403, "STAFF_ONLY")
    world.carol.client.credentials()
    answer = refused(world, "carol", method, path, {})
    assert (answer.status_code, answer.body["error"]) == (401, "NOT_AUTHENTICATED")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        *(("Bearer", "SCHEME_UNKNOWN"), ("Bearer x y", "SCHEME_UNKNOWN"), ("Basic YTpi", "SCHEME_UNKNOWN")),
        *(("Token x", "SCHEME_UNKNOWN"), ("Bearer x", "TOKEN_INVALID"), ("Bearer a.b.c", "TOKEN_INVALID")),
        ("Bearer \u00e9", "TOKEN_INVALID"),
    ],
)
def test_tokens_that_sign_nobody_in(world, header, reason):
    world.carol.client.credentials(HTTP_AUTHORIZATION=header)
    answer = refused(world, "carol", "POST", "/orders", GOOD_ORDER)
    assert (answer.status_code, answer.body["error"]) == (401, "NOT_AUTHENTICATED")
    assert answer.body["data"] == {"reason": reason}
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_the_form_of_a_text_is_asked_for_in_words(world):
    """It was a bare regular expression."""
    answer = refused(world, "alice", "POST", "/orders", GOOD_ORDER | {"symbol": "btc-usd"})
    words = "must be 1 to 33 characters of A-Z 0-9 . _ -, and begin with one of A-Z 0-9"
    assert answer.body["message"] == f"symbol {words}"
    answer = refused(world, "alice", "PATCH", "/users/me", {"email": "alice"})
    assert answer.body["message"] == "email must be an address such as name@example.com"


def test_no_more_errors_are_named_than_anybody_mends(world):
    for number, more in ((20, None), (21, 1), (100, 80)):
        answer = refused(world, "alice", "POST", "/orders", GOOD_ORDER | {f"n{each}": each for each in range(number)})
        assert (answer.status_code, answer.body["error"]) == (400, "VALIDATION_FAILED")
        errors = answer.body["data"]["errors"]
        assert [each["field"] for each in errors] == [f"n{each}" for each in range(20)]
        assert answer.body["data"].get("more") == more
        assert answer.body["message"].startswith(f"{number} errors in: n0, ")
    answer = refused(world, "alice", "POST", "/orders", {f"n{each}": each for each in range(4000)})
    assert (answer.body["error"], len(answer.content) < 500) == ("MALFORMED_BODY", True)


def test_nor_of_a_query_string(world):
    answer = refused(world, "alice", "DELETE", f"/orders?{'&'.join(f'n{each}=1' for each in range(500))}", None)
    assert (len(answer.body["data"]["errors"]), answer.body["data"]["more"]) == (20, 480)
