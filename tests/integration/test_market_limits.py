"""A market's limits go with one another, whoever changes them at the same moment, and a halt never fails on them."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from base.web.errors import InvalidField
from markets.models import Market
from markets.services import change_market, read_market
from tests.support.live import Live
from tests.support.orders import checks, full, quick
from tests.support.world import World, stored_rows

FIELDS = {"priceBand": "0.1", "maxNotional": "5000", "maxOpenOrders": 20}


def patch(world: World, **fields):
    return world.staff.call("PATCH", "/markets/BTC-USD", fields)


def test_limits_of_a_market(world):
    before = world.carol.get("/markets/BTC-USD")
    assert {name: before[name] for name in FIELDS} == {
        "priceBand": None,
        "maxNotional": "90000000000",
        "maxOpenOrders": 500,
    }
    changed = patch(world, **FIELDS).body["data"]
    assert {name: changed[name] for name in FIELDS} == FIELDS
    assert patch(world, priceBand=None).body["data"]["priceBand"] is None
    opened = world.staff.call(
        "POST",
        "/markets",
        {"symbol": "BTC-EUR", "base": "BTC", "quote": "EUR", "tickSize": "1", "lotSize": "1", **FIELDS},
    )
    assert opened.status_code == 201, opened.body
    assert {name: opened.body["data"][name] for name in FIELDS} == FIELDS


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("priceBand", "0", "MUST_BE_POSITIVE"),
        ("priceBand", "1", "INVALID_MARKET"),
        ("priceBand", "-0.1", "MUST_BE_POSITIVE"),
        ("priceBand", 0.1, "DECIMAL_STRING_REQUIRED"),
        ("priceBand", "0.123456789", "INVALID_DECIMAL"),
        ("maxNotional", "0", "MUST_BE_POSITIVE"),
        ("maxNotional", None, "FIELD_REQUIRED"),
        ("maxNotional", "90000000000.1", "INVALID_MARKET"),
        ("maxOpenOrders", "20", "INTEGER_REQUIRED"),
        ("maxOpenOrders", True, "INTEGER_REQUIRED"),
        ("maxOpenOrders", 20.5, "INTEGER_REQUIRED"),
        ("maxOpenOrders", 0, "OUT_OF_RANGE"),
        ("maxOpenOrders", 10**12, "OUT_OF_RANGE"),
        ("maxOpenOrders", None, "FIELD_REQUIRED"),
    ],
)
def test_what_no_limit_may_be(world, field, value, error):
    before, rows = Market.objects.values().get(), stored_rows()
    answer = patch(world, **{field: value})
    assert (answer.status_code, answer.body["error"], answer.body["data"]["field"]) == (400, error, field)
    assert (Market.objects.values().get(), stored_rows()) == (before, rows)


def test_least_and_most_go_together(world):
    assert patch(world, minNotional="10", maxNotional="100").status_code == 200
    assert patch(world, minNotional="101").body["error"] == "INVALID_MARKET"
    assert patch(world, maxNotional="9").body["error"] == "INVALID_MARKET"
    refused = world.place(world.alice, "buy 2 @ 60")
    assert (refused.body["error"], refused.body["data"]["maxNotional"]) == ("NOTIONAL_TOO_LARGE", "100")
    assert world.place(world.alice, "buy market 101 quote").body["error"] == "NOTIONAL_TOO_LARGE"
    assert world.place(world.alice, "buy 2 @ 50").status_code == 202


@pytest.mark.dialect
def test_a_change_is_checked_against_the_row_and_not_against_what_was_read(world):
    """Two operators have read the market; each of their changes alone keeps the rules."""
    one, other = read_market("BTC-USD"), read_market("BTC-USD")
    change_market(one, min_quantity=Decimal(5))
    with pytest.raises(InvalidField, match="exceeds"):
        change_market(other, max_quantity=Decimal(3))
    assert Market.objects.get().max_quantity > 5


def test_two_operators_at_once(exchange: Live):
    with ThreadPoolExecutor(2) as pool:
        for _ in range(12):
            symbol = exchange.market()
            changes = ({"minQuantity": "5"}, {"maxQuantity": "3"})
            answers = list(pool.map(lambda body: exchange.staff.call("PATCH", f"/markets/{symbol}", body), changes))  # noqa: B023
            assert sorted(answer.status_code for answer in answers) == [200, 400]


@pytest.mark.dialect
def test_a_halt_never_fails_on_limits(world):
    """Rows of before may break a rule: the audit tells, and the market can be halted, and mended."""
    Market.objects.update(min_quantity=Decimal(5), max_quantity=Decimal(3))
    assert checks(full(), quick()) == {"market-keeps-its-rules"}
    assert patch(world, status="HALTED").status_code == 200
    assert patch(world, takerFeeRate="0.001").body["error"] == "INVALID_MARKET"
    assert patch(world, maxQuantity="6").status_code == 200
    world.match()
    assert Market.objects.get().status == "HALTED"
