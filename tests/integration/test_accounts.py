"""Users, tokens, balances and markets over REST."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from balances.models import LedgerEntry
from base.web.accounts import forget_account
from base.web.errors import AccountDeactivated, AccountNotEmpty, UsernameTaken
from exchange import settings as production
from markets.models import Asset, Market
from orders.accounts import close
from tests.support.world import Person, World, fund
from users.acts import Actor
from users.models import User
from users.services import register

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


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"username": "DoRa", "email": "other@example.com"}, "USERNAME_TAKEN"),
        ({"username": "other", "email": "DORA@Example.com"}, "EMAIL_TAKEN"),
        ({"username": "other", "email": "D\u00d6RA@example.com"}, "EMAIL_TAKEN"),
    ],
)
def test_names_and_addresses_differ_by_more_than_case(world, change, error):
    if not change["email"].isascii():
        world.carol.call("PATCH", "/users/me", {"email": "d\u00f6ra@example.com"})
    kept = world.carol.call("POST", "/users", {**DORA, "username": "Dora", "email": "Dora@example.com"}).body["data"]
    assert (kept["username"], kept["email"]) == ("Dora", "Dora@example.com")
    refused = world.carol.call("POST", "/users", {**DORA, **change})
    assert (refused.status_code, refused.body["error"]) == (409, error)
    for typed in ("Dora", "dora", "DORA"):
        signed_in = world.carol.call("POST", "/auth/token", {"username": typed, "password": DORA["password"]})
        assert signed_in.body["data"]["username"] == "Dora"


@pytest.mark.parametrize("name", ["root", "Admin", "r00t", "SUPP0RT", "s.y-s_t+e@m"])
def test_some_names_are_nobodys(world, name):
    refused = world.carol.call("POST", "/users", {**DORA, "username": name})
    assert (refused.status_code, refused.body["error"]) == (409, "USERNAME_RESERVED")
    assert User.objects.filter(username=name).count() == 0


@pytest.mark.parametrize("name", ["rooted", "dora@example.com", "x._@+-9"])
def test_other_names_are_free(world, name):
    assert world.carol.call("POST", "/users", {**DORA, "username": name}).status_code == 201


def test_the_address_of_another_is_no_name(world):
    refused = world.carol.call("POST", "/users", {**DORA, "username": "BOB@example.com"})
    assert (refused.status_code, refused.body["error"]) == (409, "USERNAME_TAKEN")


@pytest.mark.parametrize(
    "email", ["do\u0308ra@example.com", "\uff44ora@example.com", "dora@e\u00adxample.com", "\ufb01@x.com"]
)
def test_an_address_is_written_in_one_way(world, email):
    refused = world.carol.call("POST", "/users", {**DORA, "email": email})
    assert (refused.status_code, refused.body["error"]) == (400, "INVALID_FORMAT")


@pytest.mark.parametrize("password", ["dora-the-trader", "DORA-the-trader1", "doratrader@example.com", "DoraTrader"])
def test_a_password_is_neither_the_name_nor_the_address(world, password):
    dora = {"username": "dora-the-trader", "email": "doratrader@example.com"}
    refused = world.carol.call("POST", "/users", {**dora, "password": password})
    assert (refused.status_code, refused.body["error"]) == (400, "PASSWORD_TOO_WEAK")
    assert world.carol.call("POST", "/users", {**dora, "password": "dora-the-trader secret"}).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_of_two_who_take_a_name_at_once_one_gets_it():
    def take(username: str) -> str:
        try:
            return str(register(username=username, email=f"{username.encode().hex()}@x.com", password="correct horse"))
        except UsernameTaken:
            return ""
        finally:
            connection.close()

    for name in ("dora", "erik", "fred"):
        with ThreadPoolExecutor(4) as pool:
            taken = list(pool.map(take, (name, name.upper(), name.title(), name[0] + name[1:].upper())))
        assert sum(bool(each) for each in taken) == 1


def test_ones_own_account(world):
    me = world.alice.get("/users/me")
    assert set(me) == {"userId", "username", "email", "isStaff", "createdAt", "updatedAt"}
    assert (me["username"], me["isStaff"]) == ("alice", False)
    changed = world.alice.call("PATCH", "/users/me", {"email": "Alice@example.org"}).body["data"]
    assert changed["email"] == world.alice.get("/users/me")["email"] == "Alice@example.org"
    assert changed["updatedAt"] > me["updatedAt"]
    again = world.alice.call("PATCH", "/users/me", {"email": "alice@example.org"})
    assert again.body["data"]["email"] == "alice@example.org", "one's own in another case is not taken"
    assert world.alice.call("PATCH", "/users/me", {}).body["data"]["email"] == "alice@example.org"
    for body, error in (
        ({"email": "BOB@example.com"}, "EMAIL_TAKEN"),
        ({"email": None}, "FIELD_REQUIRED"),
        ({"username": "al"}, "FIELD_UNKNOWN"),
    ):
        assert world.alice.call("PATCH", "/users/me", body).body["error"] == error


def test_the_account_as_a_whole(world):
    world.play(world.alice, "buy 2 @ 100")
    world.place(world.alice, "buy 1 @ 90")
    answer = world.alice.call("GET", "/account").body
    assert set(answer["asOf"]) == {"BTC-USD"}
    account = answer["data"]
    assert (account["userId"], account["username"], account["openOrders"]) == (world.alice.user.id, "alice", 2)
    assert account["limits"] == {"requestsPerSecond": 0, "openNotional": {}, "markets": None}
    (dollars,) = account["balances"]
    assert (dollars["currency"], dollars["availableBalance"], dollars["frozenBalance"]) == ("USD", "9710", "290")
    assert account["balances"] == world.alice.get("/balances") == world.alice.get(f"/balances/{world.alice.user.id}")
    assert dollars["createdAt"] < dollars["updatedAt"]
    empty = world.carol.get("/account")
    assert (empty["balances"], empty["openOrders"]) == ([], 0)
    assert world.carol.get(f"/balances/{world.carol.user.id}/USD")["createdAt"] is None
    world.carol.client.credentials()
    assert world.carol.get("/assets")[0] == {"code": "BTC", "scale": 8, "supply": "10"}


def test_ones_own_fees(world):
    world.staff.call("PATCH", "/markets/BTC-USD", {"takerFeeRate": "0.002"})
    fees = world.alice.get("/fees")
    rates = {"symbol": "BTC-USD", "makerFeeRate": "0", "takerFeeRate": "0.002"}
    assert fees == [{**rates, "feeCurrency": "RECEIVED", "tier": None, "nextTier": None}]


def closed(who: Person, password: str = "correct horse") -> str:
    answer = who.call("DELETE", "/users/me", {"password": password})
    return answer.body["error"] if answer.body else str(answer.status_code)


def test_an_account_is_closed_when_it_is_empty(world):
    world.alice.user.set_password("correct horse")
    world.alice.user.stamp = ""
    world.alice.user.save()
    order = world.play(world.alice, "buy 100 @ 100")["orderId"]
    assert world.alice.holds("USD") == "0 10000"
    assert closed(world.alice, "wrong horse") == "INVALID_CREDENTIALS"
    refused = world.alice.call("DELETE", "/users/me", {"password": "correct horse"}).body
    assert (refused["code"], refused["error"]) == (409, "ACCOUNT_NOT_EMPTY")
    assert refused["data"]["balances"] == [{"currency": "USD", "totalBalance": "10000"}]
    world.alice.call("DELETE", f"/orders/{order}")
    world.match()
    give(world, "-10000", "all")
    assert closed(world.alice) == "204"
    forget_account(world.alice.user.id)
    assert world.alice.call("GET", "/orders").status_code == 401
    late = give(world, "1", "late")
    assert (late.status_code, late.body["error"]) == (409, "ACCOUNT_DEACTIVATED")
    signed_in = world.carol.call("POST", "/auth/token", {"username": "alice", "password": "correct horse"})
    assert signed_in.body["error"] == "INVALID_CREDENTIALS"


@pytest.mark.django_db(transaction=True)
def test_no_deposit_comes_into_an_account_that_closes():
    """Whichever of the two is first."""
    world = World.make()
    ends = []
    for number in range(6):
        user = User(username=f"dora{number}", email=f"dora{number}@example.com", is_active=True)
        user.set_password("correct horse")
        user.save()

        def close_it(user: User = user) -> str:
            try:
                close(user.id, "correct horse", Actor(user.id, "127.0.0.1"))
            except AccountNotEmpty:
                return "not empty"
            finally:
                connection.close()
            return "closed"

        def deposit(user: User = user) -> str:
            try:
                fund(user, USD="5", BTC="1")
            except AccountDeactivated:
                return "refused"
            finally:
                connection.close()
            return "deposited"

        with ThreadPoolExecutor(2) as pool:
            both = [pool.submit(act) for act in (close_it, deposit)]
            ends.append(tuple(each.result() for each in both))
    assert set(ends) <= {("closed", "refused"), ("not empty", "deposited")}
    assert Asset.objects.get(code=world.market.quote_id).supply == 10_000 + 5 * ends.count(("not empty", "deposited"))


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
    fields = {"userId", "currency", "availableBalance", "frozenBalance", "totalBalance", "createdAt", "updatedAt"}
    assert set(taken) == fields
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
            "maxNotional": "90000000000",
            "priceBand": None,
            "maxOpenOrders": 500,
            "makerFeeRate": "0",
            "takerFeeRate": "0.001",
            "feeCurrency": "RECEIVED",
            "selfTradePrevention": "EXPIRE_TAKER",
            "status": "TRADING",
            "simulatedFates": False,
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
