"""Users, tokens, balances and markets over REST."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from balances.models import LedgerEntry
from exchange import settings as production
from markets.models import Asset, Market
from tests.support.world import World, fund
from users.models import User

pytestmark = pytest.mark.dialect

DORA = {"username": "dora", "email": "dora@example.com", "password": "correct horse"}
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def give(world: World, amount: str, reference: str, **more: object):
    body = {"userId": world.alice.user.id, "currency": "USD", "amount": amount, "reason": "gift", **more}
    return world.staff.call("POST", "/balances/update", {**body, "reference": reference})


def test_register_sign_in_and_look(world, settings):
    settings.PASSWORD_HASHERS = production.PASSWORD_HASHERS
    world.carol.client.credentials()
    made = world.carol.call("POST", "/users", DORA)
    assert made.status_code == 201
    assert set(made.body["data"]) == {"userId", "username", "email", "createdAt"}
    assert TIMESTAMP.fullmatch(made.body["timestamp"])
    assert User.objects.get(username="dora").password.startswith("bcrypt_sha256$")
    tokens = world.carol.call("POST", "/auth/token", {"username": "dora", "password": DORA["password"]}).body["data"]
    assert set(tokens) == {"accessToken", "refreshToken", "expiresIn", "userId", "username"}
    world.carol.client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['accessToken']}")
    assert world.carol.get(f"/users/{made.body['data']['userId']}")["username"] == "dora"


def test_names_differ_by_case(world):
    for username in ("dora", "Dora", "DORA"):
        body = {**DORA, "username": username, "email": f"{username}@example.com"}
        assert world.carol.call("POST", "/users", body).status_code == 201


@pytest.mark.parametrize("password", ["wrong horse", "", "CORRECT HORSE"])
def test_wrong_passwords_and_names_sound_alike(world, password):
    world.carol.call("POST", "/users", DORA)
    wrong = world.carol.call("POST", "/auth/token", {"username": "dora", "password": password or "x"})
    nobody = world.carol.call("POST", "/auth/token", {"username": "nobody", "password": "correct horse"})
    assert wrong.status_code == nobody.status_code == 401
    assert wrong.body["error"] == nobody.body["error"] == "INVALID_CREDENTIALS"
    assert wrong.body["message"] == nobody.body["message"]


def test_tokens_end_and_are_not_interchangeable(world):
    alice = world.alice.user
    expired = AccessToken.for_user(alice)
    expired.set_exp(lifetime=timedelta(seconds=-1))
    for token in (expired, RefreshToken.for_user(alice)):
        world.carol.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        assert world.carol.call("GET", "/orders").status_code == 401
    access = str(AccessToken.for_user(alice))
    assert world.carol.call("POST", "/auth/token/refresh", {"refreshToken": access}).status_code == 401
    refresh = str(RefreshToken.for_user(alice))
    alice.is_active = False
    alice.save()
    assert world.alice.call("GET", "/orders").status_code == 401
    assert world.alice.call("POST", "/auth/token/refresh", {"refreshToken": refresh}).status_code == 401


def test_staff_deposit_and_withdraw(world):
    assert give(world, "5.5", "r-1").body["data"]["availableBalance"] == "10005.5"
    taken = give(world, "-10005.5", "r-2").body["data"]
    assert set(taken) == {"userId", "currency", "availableBalance", "frozenBalance", "totalBalance", "updatedAt"}
    assert taken["totalBalance"] == "0"
    statement = world.alice.call("GET", f"/balances/{world.alice.user.id}/USD/ledger?limit=2").body
    assert [(entry["kind"], entry["amount"]) for entry in statement["data"]] == [
        ("WITHDRAWAL", "-10005.5"),
        ("DEPOSIT", "5.5"),
    ]
    rest = world.alice.call("GET", f"/balances/{world.alice.user.id}/USD/ledger?cursor={statement['nextCursor']}").body
    assert [entry["amount"] for entry in rest["data"]] == ["10000"]


def test_the_same_reference_moves_money_once(world):
    first, again = give(world, "5", "r-1"), give(world, "5.0", "r-1")
    give(world, "7", "r-2")
    late = give(world, "5", "r-1")
    assert first.body["data"] == again.body["data"] == late.body["data"]
    assert again["Idempotent-Replayed"] == "true"
    assert world.alice.holds("USD") == "10012 0"
    for other in (
        give(world, "6", "r-1"),
        give(world, "5", "r-1", reason="other"),
        give(world, "5", "r-1", currency="BTC"),
    ):
        assert (other.status_code, other.body["error"]) == (422, "REFERENCE_REUSED")
    assert give(world, "5", "R-1").body["data"]["availableBalance"] == "10017"


def test_frozen_funds_cannot_be_withdrawn(world):
    world.play(world.alice, "buy 1 @ 9000")
    refused = give(world, "-1000.01", "r-1")
    assert (refused.status_code, refused.body["error"]) == (400, "INSUFFICIENT_FUNDS")
    assert give(world, "-1000", "r-1").status_code == 200


def test_supply_is_capped_so_that_no_balance_can_overflow(world):
    fund(world.carol.user, USD="80000000000")
    refused = give(world, "9999990000.00000001", "r-1")
    assert (refused.status_code, refused.body["error"]) == (400, "AMOUNT_TOO_LARGE")
    assert give(world, "9999990000", "r-1").status_code == 200
    assert Asset.objects.get(code="USD").supply == Decimal(90_000_000_000)


def test_large_amounts_are_exact(world):
    give(world, "12345678901.12345678", "r-1")
    give(world, "0.00000001", "r-2")
    assert world.alice.holds("USD") == "12345688901.12345679 0"


def test_every_transfer_is_double_entry(world):
    give(world, "5", "r-1")
    amounts = LedgerEntry.objects.filter(reference="transfer:r-1").values_list("account", "amount")
    assert set(amounts) == {(world.alice.user.id, Decimal(5)), (0, Decimal(-5))}


def test_markets_are_public_and_made_by_staff(world):
    body = {"symbol": "ETH-USD", "base": "ETH", "quote": "USD", "tickSize": "0.01", "lotSize": "0.001"}
    made = world.staff.call("POST", "/markets", {**body, "takerFeeRate": "0.001", "minNotional": "10"})
    assert made.status_code == 201
    assert Asset.objects.get(code="ETH").scale == 8
    world.carol.client.credentials()
    assert [market["symbol"] for market in world.carol.get("/markets")] == ["BTC-USD", "ETH-USD"]
    assert (
        world.carol.get("/markets/ETH-USD")
        == made.body["data"]
        == {
            "symbol": "ETH-USD",
            "base": "ETH",
            "quote": "USD",
            "tickSize": "0.01",
            "lotSize": "0.001",
            "minQuantity": "0.001",
            "maxQuantity": "1000000000",
            "minNotional": "10",
            "makerFeeRate": "0",
            "takerFeeRate": "0.001",
            "selfTradePrevention": "EXPIRE_TAKER",
            "status": "TRADING",
        }
    )
    empty = world.carol.get("/orderbook/ETH-USD")
    assert (empty["bids"], empty["asks"], empty["bestBid"], empty["spread"], empty["sequence"]) == (
        [],
        [],
        None,
        None,
        0,
    )
    assert world.carol.get("/trades/ETH-USD") == []
    assert TIMESTAMP.fullmatch(world.carol.get("/time")["serverTime"])


def test_changing_a_market(world):
    changed = world.staff.call("PATCH", "/markets/BTC-USD", {"status": "CANCEL_ONLY", "minNotional": "0"})
    assert (changed.status_code, changed.body["data"]["status"]) == (200, "CANCEL_ONLY")
    assert world.place(world.alice, "buy 1 @ 1").body["error"] == "MARKET_NOT_TRADING"
    for field in ("tickSize", "lotSize", "symbol"):
        refused = world.staff.call("PATCH", "/markets/BTC-USD", {field: "1"})
        assert (refused.status_code, refused.body["error"]) == (400, "FIELD_UNKNOWN")
    broken = world.staff.call("PATCH", "/markets/BTC-USD", {"minQuantity": "0.00005"})
    assert (broken.status_code, broken.body["error"]) == (400, "INVALID_MARKET")
    assert Market.objects.get().min_quantity == Decimal("0.0001")


def test_least_and_most(world):
    world.staff.call("PATCH", "/markets/BTC-USD", {"minNotional": "10", "minQuantity": "0.01", "maxQuantity": "5"})
    for line, error in (
        ("buy 0.001 @ 100", "QUANTITY_TOO_SMALL"),
        ("buy 6 @ 100", "QUANTITY_TOO_LARGE"),
        ("buy 0.01 @ 100", "NOTIONAL_TOO_SMALL"),
        ("buy market 9.99 quote", "NOTIONAL_TOO_SMALL"),
        ("buy market 10.123456789 quote", "INVALID_DECIMAL"),
    ):
        assert world.place(world.alice, line).body["error"] == error, line


def test_the_book_shows_levels_best_first(world):
    for line in ("buy 1 @ 98", "buy 2 @ 99", "buy 3 @ 99"):
        world.play(world.alice, line)
    world.play(world.bob, "sell 1 @ 101")
    book = world.carol.get("/orderbook/BTC-USD?limit=1")
    assert book == {
        "symbol": "BTC-USD",
        "sequence": 4,
        "bids": [{"price": "99", "quantity": "5", "orderCount": 2}],
        "asks": [{"price": "101", "quantity": "1", "orderCount": 1}],
        "bestBid": "99",
        "bestAsk": "101",
        "spread": "2",
    }


def test_tickets_and_stats_of_the_stream(world):
    ticket = world.alice.call("POST", "/stream/tickets")
    assert ticket.status_code == 201
    assert len(ticket.body["data"]["ticket"]) >= 32
    assert world.alice.call("GET", "/stream/order-status/stats").body["error"] == "STAFF_ONLY"
    assert set(world.staff.get("/stream/order-status/stats")) == {"totalUsers", "totalConnections"}


def test_several_faults_of_a_registration_are_told_at_once(world):
    refused = world.carol.call("POST", "/users", {"username": "dora", "email": "e", "password": "12345678"})
    errors = {(error["field"], error["error"]) for error in refused.body["data"]["errors"]}
    assert errors == {("email", "INVALID_FORMAT"), ("password", "PASSWORD_TOO_WEAK")}
