"""A user's own limits: notional that is open, markets, and requests a second; exact under parallel requests."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from base.web.errors import LimitExceeded
from markets.services import create_market, known_market
from orders.models import Order
from orders.placing import place_order
from orders.terms import OrderTerms
from tests.integration.test_intake import statements
from tests.support.tape import parse
from tests.support.world import World, allow
from users.models import OrderLimits, StaffAct, User

pytestmark = pytest.mark.dialect

PLAIN = ["INSERT orders", "INSERT commands", "UPDATE balances", "UPDATE open_orders"]


@pytest.fixture
def limited(world: World) -> World:
    assert change(world, openNotional={"USD": "1000"}).status_code == 200
    return world


def change(world: World, who: str = "alice", **limits: Any) -> Any:
    return world.staff.call("PATCH", f"/users/{getattr(world, who).user.id}/limits", limits)


def refusal(response: Any) -> dict[str, Any]:
    assert (response.status_code, response.body["error"]) == (400, "LIMIT_EXCEEDED"), response.body
    data: dict[str, Any] = response.body["data"]
    return data


def test_what_is_open_counts_and_what_closes_does_not(limited: World) -> None:
    limited.play(limited.bob, "sell 2 @ 100")
    bought = limited.play(limited.alice, "buy 10 @ 100")
    assert bought["filledQuantity"] == "2"
    assert refusal(limited.place(limited.alice, "buy 2.01 @ 100")) == {
        "limit": "openNotional", "currency": "USD", "open": "800", "order": "201", "maximum": "1000",
    }  # fmt: skip
    assert limited.play(limited.alice, "buy 2 @ 100")["status"] == "OPEN"
    assert refusal(limited.place(limited.alice, "buy 0.01 @ 1"))["open"] == "1000"
    limited.alice.call("DELETE", f"/orders/{bought['orderId']}")
    limited.match()
    assert limited.play(limited.alice, "buy 8 @ 100")["status"] == "OPEN"


def test_a_sell_counts_at_its_price_and_a_market_order_at_the_reference_price(limited: World) -> None:
    change(limited, "bob", openNotional={"USD": "500"})
    assert refusal(limited.place(limited.bob, "sell 5.01 @ 100"))["order"] == "501"
    limited.play(limited.bob, "sell 1 @ 110")
    limited.play(limited.alice, "buy 1 @ 90")
    assert refusal(limited.place(limited.alice, "buy 9.11 @ market"))["order"] == "911", "the middle"
    limited.alice.call("DELETE", "/orders")
    limited.play(limited.alice, "buy 1 @ 110")
    limited.play(limited.bob, "sell 1 @ 100")
    limited.play(limited.alice, "buy 1 @ 100")
    assert refusal(limited.place(limited.bob, "sell 5.01 @ market"))["order"] == "501"
    assert refusal(limited.place(limited.alice, "buy market 1001 quote"))["order"] == "1001"
    assert refusal(limited.place(limited.alice, "buy 10.01 @ market"))["order"] == "1001"
    assert limited.place(limited.bob, "sell 5 @ market").status_code == 202


def test_the_orders_of_a_batch_count_one_after_the_other(limited: World) -> None:
    orders = [parse(line).body(limited.symbol) for line in ("buy 6 @ 100", "buy 5 @ 100", "buy 4 @ 100")]
    results = limited.alice.call("POST", "/orders/batch", {"orders": orders}).body["data"]["results"]
    assert [result["code"] for result in results] == [202, 400, 202]


def test_markets(limited: World) -> None:
    create_market(symbol="ETH-USD", base="ETH", quote="USD", tick_size=Decimal("0.01"), lot_size=Decimal("0.01"))
    assert change(limited, openNotional=None, markets=["ETH-USD"]).body["data"] == {
        "requestsPerSecond": None, "openNotional": {}, "markets": ["ETH-USD"],
    }  # fmt: skip
    assert refusal(limited.place(limited.alice, "buy 1 @ 1")) == {
        "limit": "markets", "symbol": "BTC-USD", "markets": ["ETH-USD"],
    }  # fmt: skip
    assert limited.alice.call("POST", "/orders", parse("buy 1 @ 1").body("ETH-USD")).status_code == 202
    change(limited, markets=[])
    assert refusal(limited.alice.call("POST", "/orders", parse("buy 1 @ 1").body("ETH-USD")))["limit"] == "markets"
    change(limited, markets=None)
    assert limited.place(limited.alice, "buy 1 @ 1").status_code == 202


def test_who_has_no_limits_pays_nothing(limited: World) -> None:
    """The tests of intake count the statements of everybody; here those of a user with limits, for comparison."""
    limited.place(limited.bob, "sell 1 @ 9000")
    with statements() as seen:
        assert limited.place(limited.bob, "sell 1 @ 9000").status_code == 202
    assert seen == PLAIN
    limited.place(limited.alice, "buy 1 @ 1")
    with statements() as seen:
        assert limited.place(limited.alice, "buy 1 @ 1").status_code == 202
    assert seen[:5] == ["INSERT orders", "SELECT users", "SELECT order_limits", "SELECT commands", "SELECT orders"]
    assert seen[-len(PLAIN) :] == PLAIN


def test_a_change_keeps_what_was_before(limited: World) -> None:
    alice = limited.alice.user.id
    change(limited, requestsPerSecond=50, reason="market maker")
    assert limited.staff.get(f"/users/{alice}/limits") == {
        "requestsPerSecond": 50, "openNotional": {"USD": "1000"}, "markets": None,
    }  # fmt: skip
    act = StaffAct.objects.order_by("-id")[0]
    assert (act.kind, act.reason, act.operator_id) == ("LIMITS_CHANGED", "market maker", limited.staff.user.id)
    assert (act.before["requestsPerSecond"], act.after["requestsPerSecond"]) == (None, 50)
    change(limited, requestsPerSecond=50)
    assert StaffAct.objects.count() == 2, "nothing changed, and no row says so"
    change(limited, openNotional={}, requestsPerSecond=None)
    assert not OrderLimits.objects.exists()
    assert User.objects.filter(id=alice, has_limits=False, rate_limit=None).exists()


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"openNotional": {"XYZ": "1"}}, "ASSET_NOT_FOUND"),
        ({"openNotional": {"USD": "-1"}}, "MUST_NOT_BE_NEGATIVE"),
        ({"openNotional": {"USD": 1}}, "DECIMAL_STRING_REQUIRED"),
        ({"openNotional": {"usd": "1"}}, "INVALID_FORMAT"),
        ({"openNotional": {"USD": "1e3"}}, "INVALID_DECIMAL"),
        ({"openNotional": []}, "OBJECT_REQUIRED"),
        ({"openNotional": {f"A{number}": "1" for number in range(101)}}, "LIST_TOO_LONG"),
        ({"markets": ["XYZ-USD"]}, "MARKET_NOT_FOUND"),
        ({"markets": ["btc usd"]}, "INVALID_FORMAT"),
        ({"markets": [1]}, "STRING_REQUIRED"),
        ({"markets": "BTC-USD"}, "LIST_REQUIRED"),
        ({"markets": ["BTC-USD"] * 101}, "LIST_TOO_LONG"),
        ({"requestsPerSecond": -1}, "OUT_OF_RANGE"),
        ({"requestsPerSecond": 10_001}, "OUT_OF_RANGE"),
        ({"requestsPerSecond": "5"}, "INTEGER_REQUIRED"),
        ({"requestsPerSecond": True}, "INTEGER_REQUIRED"),
        ({"limit": 1}, "FIELD_UNKNOWN"),
    ],
)
def test_limits_that_are_none(limited: World, limits: dict[str, Any], error: str) -> None:
    refused = change(limited, **limits)
    assert (refused.status_code, refused.body["error"]) == (400, error)
    assert StaffAct.objects.count() == 1


def test_who_may_change_them(world: World) -> None:
    path = f"/users/{world.alice.user.id}/limits"
    world.staff = world.clerk()
    for method in ("GET", "PATCH"):
        assert world.staff.call(method, path, {}).body["error"] == "PERMISSION_REQUIRED"
        assert world.alice.call(method, path, {}).body["error"] == "STAFF_ONLY"
    allow(world.staff, "users.change_limits")
    assert world.staff.call("PATCH", "/users/99999/limits", {}).body["error"] == "USER_NOT_FOUND"


@pytest.mark.django_db(transaction=True)
def test_a_limit_holds_under_parallel_requests() -> None:
    world = World.make()
    change(world, openNotional={"USD": "10"})
    market, terms = (
        known_market(world.symbol),
        OrderTerms(side="BUY", type="LIMIT", price=Decimal(1), quantity=Decimal(1)),
    )

    def place(_: int) -> bool:
        try:
            place_order(world.alice.user.id, market, terms)
        except LimitExceeded:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(place, range(24))) == 10
    assert Order.objects.count() == 10
    world.match()
