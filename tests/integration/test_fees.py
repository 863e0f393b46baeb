"""Fees in quote and rebates over HTTP: what is frozen, charged, shown, posted and paid out; the audit counts, too."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from audit.checks import Report
from audit.inspect import inspect_full
from balances.models import LedgerEntry
from markets.services import change_market, read_market
from tests.support.orders import checks, quick, replay
from tests.support.world import Person, World

pytestmark = pytest.mark.dialect


def fees(who: Person) -> list[str]:
    """Of each fill, the oldest first: "TAKER 0.2 USD"."""
    return [f"{fill['role']} {fill['fee']} {fill['feeCurrency']}" for fill in reversed(who.get("/fills"))]


def ledger(who: Person, currency: str) -> list[str]:
    entries = who.get(f"/balances/{who.user.id}/{currency}/ledger")
    return [f"{entry['kind']} {entry['amount']}" for entry in reversed(entries)]


def collected(currency: str) -> Decimal:
    return sum(LedgerEntry.objects.filter(account=-1, currency=currency).values_list("amount", flat=True), Decimal(0))


def patch(world: World, **fields: Any) -> Any:
    return world.staff.call("PATCH", f"/markets/{world.symbol}", fields)


@pytest.fixture
def in_quote(db: None) -> Iterator[World]:
    """Afterwards the twin does all of it again."""
    yield World.make(maker_fee_rate=Decimal("0.001"), taker_fee_rate=Decimal("0.002"), fee_currency="QUOTE")
    assert checks(replay()) == set()


def test_who_buys_a_lot_can_sell_a_lot(db: None) -> None:
    """Lot 1 and a fee of 0.2 %: paid in base it left 0.998, which nobody could sell."""
    world = World.make(lot_size=Decimal(1), taker_fee_rate=Decimal("0.002"))
    assert patch(world, feeCurrency="QUOTE").body["data"]["feeCurrency"] == "QUOTE"
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.alice, "buy 1 @ 100")
    assert (world.alice.holds("BTC"), world.alice.holds("USD")) == ("1 0", "9899.8 0")
    assert world.play(world.alice, "sell 1 @ 100")["status"] == "OPEN"


def test_a_buy_freezes_its_fee_and_gets_back_what_it_does_not_pay(in_quote: World) -> None:
    world = in_quote
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.alice, "buy 3 @ 110")
    # 330 and 0.66 were frozen; 1 was bought at 100 and 0.2, and the rest is reserved at the price of its own.
    assert world.alice.holds("USD") == "9679.36 220.44"
    since = inspect_full(Report(), timezone.now())
    # The rest makes at 0.1 %, and the other half of the reserved fee becomes available.
    world.play(world.bob, "sell 2 @ 110")
    assert (world.alice.holds("USD"), world.alice.holds("BTC")) == ("9679.58 0", "3 0")
    assert (fees(world.alice), fees(world.bob)) == (
        ["TAKER 0.2 USD", "MAKER 0.22 USD"],
        ["MAKER 0.1 USD", "TAKER 0.44 USD"],
    )
    assert ledger(world.alice, "BTC") == ["TRADE 1", "TRADE 2"]
    assert ledger(world.alice, "USD")[1:] == ["TRADE -100", "FEE -0.2", "TRADE -220", "FEE -0.22"]
    assert (collected("USD"), collected("BTC")) == (Decimal("0.96"), 0)
    # An audit of what came since knows what was bought before.
    assert checks(quick(since)) == set()
    [btc] = [each for each in world.alice.get("/positions") if each["asset"] == "BTC"]
    # 320.42 for 3.
    assert (btc["quantity"], btc["averageCost"]) == ("3", "106.8066666666667")


def test_a_market_buy_pays_its_fee_out_of_its_budget(in_quote: World) -> None:
    world = in_quote
    world.play(world.bob, "sell 5 @ 100")
    order = world.play(world.alice, "buy market 100.2 quote")
    assert (order["status"], order["filledQuantity"]) == ("FILLED", "1")
    assert world.alice.holds("USD") == "9899.8 0"
    # All that is available pays for less than it did without fees: 9899.8 / 1.002 / 10000 in whole lots.
    world.play(world.bob, "sell 4 @ 10000")
    order = world.play(world.alice, "buy 9 @ market")
    assert (order["status"], order["reason"], order["filledQuantity"]) == (
        "PARTIALLY_FILLED",
        "INSUFFICIENT_FUNDS",
        "4.948",
    )
    assert world.alice.holds("USD") == "0.04 0"


def test_an_order_keeps_the_currency_that_it_was_accepted_with(in_quote: World) -> None:
    world = in_quote
    world.play(world.alice, "buy 1 @ 100")
    assert patch(world, feeCurrency="RECEIVED").status_code == 200
    world.play(world.alice, "buy 1 @ 100")
    world.play(world.bob, "sell 2 @ 100")
    assert fees(world.alice) == ["MAKER 0.1 USD", "MAKER 0.001 BTC"]
    assert (world.alice.holds("USD"), world.alice.holds("BTC")) == ("9799.9 0", "1.999 0")


def test_a_taker_that_needs_two_transactions_pays_the_same(in_quote: World, settings: Any) -> None:
    """One order a transaction, and the book is read from its rows each time."""
    settings.ENGINE_FILLS_PER_TRANSACTION, settings.ENGINE_BOOK_CACHE = 1, False
    world = in_quote
    change_market(read_market(world.symbol), taker_fee_rate=Decimal("0.00333333"))
    for price in (100, 101, 102):
        world.play(world.bob, f"sell 0.3333 @ {price}")
    world.play(world.alice, "buy 0.5 @ 105")
    world.play(world.alice, "buy market 20 quote")
    world.play(world.alice, "buy 0.2 @ market")
    assert world.alice.get("/orders?active=true") == []
    total = sum(Decimal(fill["fee"]) for fill in world.alice.get("/fills"))
    assert collected("USD") == total + sum(Decimal(fill["fee"]) for fill in world.bob.get("/fills"))
    assert world.alice.holds("USD").endswith(" 0")


@pytest.mark.parametrize(
    ("currency", "rebates", "house"),
    [
        ("RECEIVED", ["MAKER -0.0005 BTC", "MAKER -0.05 USD"], ("0.05", "0.0005")),
        ("QUOTE", ["MAKER -0.05 USD"] * 2, ("0.1", "0")),
    ],
)
def test_makers_get_a_part_of_the_takers_fee(
    db: None, currency: str, rebates: list[str], house: tuple[str, str]
) -> None:
    world = World.make(maker_fee_rate=Decimal("-0.0005"), taker_fee_rate=Decimal("0.001"), fee_currency=currency)
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.alice, "buy 1 @ 100")
    world.play(world.alice, "buy 1 @ 100")
    world.play(world.bob, "sell 1 @ 100")
    assert [fees(world.bob)[0], fees(world.alice)[1]] == rebates
    assert (collected("USD"), collected("BTC")) == tuple(map(Decimal, house))
    assert "REBATE 0.05" in ledger(world.alice, "USD")
    # What is left can be paid out, and no more.
    payout = {"currency": "USD", "amount": house[0], "reason": "r", "reference": "f-1"}
    asked = world.staff.call("POST", "/fees/payout", payout).body["data"]["approvalId"]
    second = world.clerk("treasurers")
    more = world.staff.call("POST", "/fees/payout", {**payout, "amount": "0.00000001", "reference": "f-2"})
    assert second.call("POST", f"/approvals/{asked}/approve").status_code == 200
    refused = second.call("POST", f"/approvals/{more.body['data']['approvalId']}/approve")
    assert refused.body["error"] == "INSUFFICIENT_FUNDS"
    assert all(each["asset"] in ("BTC", "USD") for each in world.bob.get("/positions"))


def test_a_buy_that_nobody_could_pay_is_refused_and_not_a_defect(in_quote: World) -> None:
    """Notional and fee together are more than an amount may be."""
    response = in_quote.place(in_quote.alice, "buy 900000000 @ 100")
    assert (response.status_code, response.body["error"]) == (400, "INSUFFICIENT_FUNDS")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"feeCurrency": "BASE"}, "INVALID_CHOICE"),
        ({"makerFeeRate": "-1"}, "INVALID_MARKET"),
        ({"takerFeeRate": "-0.1"}, "MUST_NOT_BE_NEGATIVE"),
        ({"makerFeeRate": "--1"}, "INVALID_DECIMAL"),
    ],
)
def test_rates_and_currencies_that_are_none(world: World, fields: dict[str, str], error: str) -> None:
    assert patch(world, **fields).body["error"] == error
