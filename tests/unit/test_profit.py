"""Profit, and what the house's bots believe and wish."""

import random
from decimal import Decimal

import pytest

from classroom.profit import Held, profits, ranks
from core.money import UNIT
from tests.support.rounds import scenario
from tools.classroom.bots import View, slice_of, wish
from tools.classroom.fair_value import FairValue, Move
from tools.classroom.passwords import WORDS, readable_password

MARKS = {"USD": UNIT, "ACME": 105 * UNIT}


def test_profit_is_what_was_gained_at_the_marks() -> None:
    held = [
        Held(1, "USD", 100 * UNIT, 40 * UNIT),
        Held(1, "ACME", 0, UNIT // 2),
        Held(2, "USD", 5, 5),
        Held(2, "GOLD", 0, 7 * UNIT),
    ]
    assert profits(held, MARKS) == {1: -60 * UNIT + 105 * UNIT // 2, 2: 0}


@pytest.mark.parametrize(("gained", "profit"), [(1, 0), (-1, 0), (2, 1), (-2, -1), (3, 1), (-3, -1)])
def test_less_than_a_unit_is_cut_off_towards_zero(gained: int, profit: int) -> None:
    assert profits([Held(1, "ACME", 10, 10 + gained)], {"ACME": UNIT // 2}) == {1: profit}


def test_the_same_profit_is_the_same_rank() -> None:
    assert ranks([9, 5, 5, 1, 1, 0]) == [1, 2, 2, 4, 4, 6]
    assert ranks([]) == []


def test_a_fair_value_is_moved_by_news_and_the_same_for_the_same_seed() -> None:
    still = FairValue("7", 100, 0)
    moves = [Move(10, 0.1), Move(20, -0.5)]
    assert [round(still.at(second, moves), 6) for second in (0, 9.9, 10, 20)] == [100, 100, 110, 55]
    first, second, other = (FairValue(seed, 100, 0.001) for seed in ("7", "7", "8"))
    path = [first.at(each, ()) for each in range(50)]
    assert path[::-1] == [second.at(each, ()) for each in reversed(range(50))]
    assert path != [other.at(each, ()) for each in range(50)]


def test_makers_quote_around_their_value_and_value_traders_take_bargains() -> None:
    plan = scenario()
    [market], [maker] = plan.markets, plan.bots
    dice = random.Random(1)
    quotes = wish(maker, market, View(99, 101, 100, 110), dice, 0)
    assert quotes.cancels_all
    bids, asks = ([each.price for each in quotes.orders if each.side == side] for side in ("BUY", "SELL"))
    assert max(bids) < 105 < min(asks), "half of what it knows and half of the last price"
    bought = wish(maker, market, View(99, 101, 100, 110, inventory=10), random.Random(1), 0)
    first = next(each.price for each in bought.orders if each.side == "SELL")
    assert first < min(asks), "who has bought asks less"
    assert all(price % market.tick == 0 for price in [*bids, *asks])
    value = maker.model_copy(update={"kind": "value"})
    [cheap] = wish(value, market, View(99, 101, 100, 110), dice, 0).orders
    assert (cheap.side, cheap.time_in_force) == ("BUY", "IOC")
    [dear] = wish(value, market, View(99, 101, 100, 90), dice, 0).orders
    assert dear.side == "SELL"
    assert wish(value, market, View(99, 101, 100, 100), dice, 9).cancels_all


def test_no_price_is_beyond_the_band_of_the_market() -> None:
    """Who was willing to pay more than the band allows would be refused, and would do nothing in a crash."""
    plan = scenario()
    [market], [maker] = plan.markets, plan.bots
    dice = random.Random(2)
    for kind in ("maker", "noise", "value"):
        bot = maker.model_copy(update={"kind": kind})
        for value in (70, 100, 150):
            for order in wish(bot, market, View(99, 101, 100, value), dice, 0).orders:
                price = order.price
                assert price < 110 if order.side == "BUY" else price > 90, (kind, order)


def test_a_fund_trades_its_quantity_in_slices_and_no_more() -> None:
    plan = scenario(
        "title: T\nmarkets: [{symbol: ACME-USD, tick: 1, lot: 1, fair_value: 9}]\nteams: [{name: a, money: {}}]\n"
        "bots: [{name: f, kind: fund, money: {}}]\ntimetable: [{at: 5, do: sell, bot: f, quantity: 100, seconds: 10}]\n"
    )
    [step], [market] = plan.timetable, plan.markets
    assert slice_of(step, market, 4.9, Decimal(0)) is None
    done = Decimal(0)
    for second in range(5, 40):
        order = slice_of(step, market, second, done)
        done += order.quantity if order else 0
        assert done <= min(100, (second - 4) * 10)
    assert done == 100


def test_a_password_is_readable_and_of_many() -> None:
    assert len(set(WORDS)) == len(WORDS) > 200
    found = {readable_password() for _ in range(200)}
    assert len(found) == 200
    assert all(8 <= len(each) <= 40 and each.isascii() and each.islower() for each in found)
