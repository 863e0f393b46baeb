"""Positions: what an asset cost by the moving average, and what was gained. The audit computes each a second way."""

from decimal import Decimal

import pytest

from audit.inspect import check_exchange
from balances.services import transfer
from markets.services import create_market
from matching.drain import drain
from positions import services
from positions.holding import Holding, rounded
from positions.models import Position
from tests.support.sampling import dice
from tests.support.tape import parse
from tests.support.world import Person, World, fund

pytestmark = pytest.mark.dialect


def position(who: Person, asset: str) -> dict:
    return next(each for each in who.get("/positions") if each["asset"] == asset)


def line(who: Person, asset: str = "BTC") -> str:
    """Quantity @ average cost, and both profits."""
    row = position(who, asset)
    return f"{row['quantity']} @ {row['averageCost']} {row['unrealizedPnl']} {row['realizedPnl']}"


def withdraw(who: Person, currency: str, amount: str) -> None:
    transfer(
        user_id=who.user.id,
        currency=currency,
        amount=-Decimal(amount),
        reason="out",
        reference=f"out-{amount}",
        operator_id=None,
    )


def market(symbol: str, **more: str) -> None:
    base, quote = symbol.split("-")
    fields = {name: Decimal(value) for name, value in {"tick_size": "0.01", "lot_size": "0.0001", **more}.items()}
    create_market(symbol=symbol, base=base, quote=quote, **fields)


def play(who: Person, symbol: str, order: str) -> None:
    assert who.call("POST", "/orders", parse(order).body(symbol)).status_code in (202, 400)
    drain(symbol)


def test_fees_are_part_of_the_cost_and_of_the_profit(db):
    world = World.make(maker_fee_rate=Decimal("0.001"), taker_fee_rate=Decimal("0.002"))
    world.play(world.bob, "sell 2 @ 100")
    world.play(world.alice, "buy 2 @ 100")
    # 2 less the fee of 0.004 cost 200.
    bought = position(world.alice, "BTC")
    assert bought.pop("asOf") == {"BTC-USD": 3}
    assert bought == {
        "asset": "BTC",
        "quantity": "1.996",
        "averageCost": "100.2004008016032",
        "costCurrency": "USD",
        "markPrice": "100",
        "marketValue": "199.6",
        "unrealizedPnl": "-0.4",
        "realizedPnl": "0",
    }
    world.play(world.alice, "sell 1 @ 120")
    world.play(world.bob, "buy 1 @ 120")
    # It brought 120 less 0.12, and had cost 200 / 1.996; what is left cost 200 less that.
    assert line(world.alice) == "0.996 @ 100.2004008032129 19.7204008 19.6795992"
    # Bob's 10 came before the first trade and cost its price. He sold 2 for 199.8, and bought 0.998 for 120.
    assert line(world.bob) == "8.998 @ 102.2449433207379 159.76 -0.2"
    assert position(world.alice, "USD")["averageCost"] == position(world.alice, "USD")["markPrice"] == "1"


def test_a_transfer_costs_the_price_of_its_moment_and_leaves_at_the_average(world):
    unpriced = position(world.bob, "BTC")
    assert (unpriced["quantity"], unpriced["markPrice"], unpriced["averageCost"]) == ("10", None, None)
    for price, amount in (("100", "3"), ("110", "1")):
        world.play(world.bob, f"sell 1 @ {price}")
        world.play(world.alice, f"buy 1 @ {price}")
        fund(world.carol.user, BTC=amount)
    assert line(world.carol) == "4 @ 102.5 30 0"
    withdraw(world.carol, "BTC", "3")
    assert line(world.carol) == "1 @ 102.5 7.5 0"
    withdraw(world.carol, "BTC", "1")
    assert line(world.carol) == "0 @ None 0 0"


def test_trading_with_oneself_gains_nothing(db):
    world = World.make(maker_fee_rate=Decimal("0.01"), taker_fee_rate=Decimal("0.01"))
    fund(world.bob.user, USD="1000")
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.bob, "buy 1 @ 100 none")
    # 0.01 of the 10 are gone, which cost 1,000, and a dollar.
    assert line(world.bob) == "9.99 @ 100.1001001001001 -1 -1"


def test_a_fill_in_another_market_is_valued_in_the_main_one(world):
    market("BTC-EUR")
    market("ETH-BTC", lot_size="0.01", tick_size="0.0001")
    world.play(world.bob, "sell 1 @ 100")
    world.play(world.alice, "buy 1 @ 100")
    fund(world.carol.user, EUR="1000", ETH="50")
    play(world.bob, "BTC-EUR", "sell 2 @ 90")
    play(world.carol, "BTC-EUR", "buy 2 @ 90")
    assert line(world.carol) == "2 @ 100 0 0"
    world.play(world.bob, "sell 1 @ 130")
    world.play(world.alice, "buy 1 @ 130")
    # 0.5 BTC for 10 ETH, when a BTC is worth 130.
    play(world.carol, "ETH-BTC", "buy 10 @ 0.05")
    play(world.bob, "ETH-BTC", "sell 10 @ 0.05")
    fund(world.bob.user, ETH="10")
    play(world.bob, "ETH-BTC", "sell 10 @ 0.05")
    assert line(world.carol) == "1.5 @ 100 45 15"
    eth = position(world.carol, "ETH")
    assert (eth["costCurrency"], eth["quantity"], eth["averageCost"]) == ("BTC", "60", "0.05")
    assert position(world.carol, "EUR")["costCurrency"] == "EUR"
    assert position(world.carol, "BTC")["asOf"].keys() == {"BTC-USD", "BTC-EUR", "ETH-BTC"}


def test_a_long_ledger_is_read_in_steps_over_several_requests(world, monkeypatch):
    for _ in range(4):
        world.play(world.bob, "sell 1 @ 100")
        world.play(world.alice, "buy 1 @ 100")
    monkeypatch.setattr(services, "STEP", 2)
    monkeypatch.setattr(services, "BUDGET_SECONDS", -1)
    behind = world.bob.call("GET", "/positions")
    assert (behind.status_code, behind.body["error"], behind["Retry-After"]) == (503, "POSITIONS_BEHIND", "1")
    before = Position.objects.get(user=world.bob.user)
    # The deposit alone, because the second entry of the step may be a part of its trade.
    assert (before.quantity, before.cost) == (10, 1000)
    monkeypatch.setattr(services, "BUDGET_SECONDS", 1)
    assert line(world.bob) == "6 @ 100 0 0"
    # A request that began with the row as it was then changes nothing any more.
    services._keep(before, Holding(1, 1, 1), before.entry_id)
    assert line(world.bob) == "6 @ 100 0 0"


def test_any_history_adds_up(world):
    """Random trades and transfers in three markets; positions are asked for in between, and the audit judges them."""
    draw = dice("positions")
    fees = {"maker_fee_rate": "0.001", "taker_fee_rate": "0.0025"}
    market("BTC-EUR", **fees)
    market("ETH-BTC", lot_size="0.01", tick_size="0.0001", **fees)
    traders = [world.alice, world.bob]
    for who in traders:
        fund(who.user, USD="100000", EUR="100000", BTC="30", ETH="300")
    prices = {"BTC-USD": (98, 102, "1"), "BTC-EUR": (88, 92, "1"), "ETH-BTC": (490, 510, "0.0001")}
    for number in range(60):
        who, (symbol, (low, high, tick)) = draw.choice(traders), draw.choice(sorted(prices.items()))
        price, quantity = draw.randint(low, high) * Decimal(tick), Decimal(draw.randint(1, 9_999)) / 10_000
        mode = draw.choice(("none", "none", "expire-maker"))
        if symbol == "ETH-BTC":
            quantity = quantity.quantize(Decimal("0.01")) or Decimal("0.01")
        play(who, symbol, f"{draw.choice(('buy', 'sell'))} {quantity} @ {price} {mode}")
        if number % 7 == 0:
            fund(who.user, BTC="0.00000001")
        if number % 10 == 0:
            who.get("/positions")
    for who in traders:
        owned = {row["currency"]: row["totalBalance"] for row in who.get(f"/balances/{who.user.id}")}
        assert {row["asset"]: row["quantity"] for row in who.get("/positions")} == owned
    assert Position.objects.count() == 4
    check_exchange()


@pytest.mark.parametrize(
    ("numerator", "denominator", "quotient"), [(5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (8, 3, 3)]
)
def test_halves_go_to_the_even_number(numerator, denominator, quotient):
    assert rounded(numerator, denominator) == quotient
