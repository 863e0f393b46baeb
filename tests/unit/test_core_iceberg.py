"""Icebergs: the book shows a tip, takers reach all of it, and each next tip stands behind what rests already."""

import random
from dataclasses import dataclass

import pytest

from core.book import Book
from core.types import Reason
from tests.support.exchange import Floor
from tests.support.tape import Desk, outcome_of, plain, units


def test_the_next_tip_stands_at_the_end_of_its_level():
    desk = Desk()
    iceberg = desk.play("sell 10 @ 100 show 3")
    desk.play("sell 2 @ 100")
    assert desk.depth() == "| 5@100"
    # A tip that is eaten in part keeps its place and is not filled up.
    assert desk.fills(desk.play("buy 2 @ 100")) == "1:2@100"
    assert (desk.depth(), plain(iceberg.tip)) == ("| 3@100", "1")
    assert desk.fills(desk.play("buy 2 @ 100")) == "1:1@100 2:1@100"
    assert (desk.depth(), plain(iceberg.tip)) == ("| 4@100", "3")
    assert iceberg.priority == desk.outcome.events[1].sequence, "the event of the fill that used the tip up"
    assert desk.fills(desk.play("buy 9 @ 100")) == "2:1@100 1:3@100 1:3@100 1:1@100"
    assert (outcome_of(iceberg), desk.depth()) == ("0 filled", "1@100 |")


def test_a_level_counts_an_iceberg_once():
    desk = Desk()
    desk.play("sell 10 @ 100 show 3", "sell 2 @ 100")
    [level] = desk.book.depth(desk.orders[1].side, 9)
    assert (plain(level.quantity), level.order_count) == ("5", 2)


@pytest.mark.parametrize(
    ("line", "fills", "depth"),
    [
        ("buy 10 @ 101 show 3", "1:5@100", "3@101 |"),
        ("buy 7 @ 101 show 3", "1:5@100", "2@101 |"),
        ("buy 5 @ 101 show 3", "1:5@100", "|"),
        ("buy 10 @ 99 show 3", "", "3@99 | 5@100"),
        ("buy 10 @ 99 show 3 post-only", "", "3@99 | 5@100"),
        ("buy 10 @ 100 show 3 post-only", "", "| 5@100"),
    ],
)
def test_as_a_taker_it_is_like_any_other(line, fills, depth):
    desk = Desk()
    desk.play("sell 5 @ 100")
    assert (desk.fills(desk.play(line)), desk.depth()) == (fills, depth)


@pytest.mark.parametrize(
    ("line", "fills"),
    [
        ("buy 12 @ 100 fok", "1:3@100 2:2@100 1:3@100 1:3@100 1:1@100"),
        ("buy 13 @ 100 fok", ""),
        ("buy 13 @ 101 fok", "1:3@100 2:2@100 1:3@100 1:3@100 1:1@100 3:1@101"),
        ("buy market 1200 quote", "1:3@100 2:2@100 1:3@100 1:3@100 1:1@100"),
    ],
)
def test_takers_reach_what_is_hidden(line, fills):
    desk = Desk()
    desk.play("sell 10 @ 100 show 3", "sell 2 @ 100", "sell 9 @ 101 show 1")
    assert desk.fills(desk.play(line)) == fills


@pytest.mark.parametrize("mode", ["expire-taker", "expire-both", "decrement"])
def test_a_fill_or_kill_does_not_count_what_is_hidden_behind_its_own_order(mode):
    """The tip comes before the own order, all that follows it comes after."""
    desk = Desk()
    desk.play("sell 10 @ 100 show 3", "alice: sell 1 @ 100")
    assert outcome_of(desk.play(f"alice: buy 4 @ 100 fok {mode}")) == "4 expired fok_not_fillable"
    assert outcome_of(desk.play(f"alice: buy 3 @ 100 fok {mode}")) == "0 filled"


def test_a_fill_or_kill_counts_it_where_its_own_order_is_removed_or_further_away():
    desk = Desk()
    desk.play("sell 10 @ 100 show 3", "alice: sell 1 @ 100")
    assert outcome_of(desk.play("alice: buy 10 @ 100 fok expire-maker")) == "0 filled"
    desk.play("sell 10 @ 100 show 3", "alice: sell 1 @ 101")
    assert outcome_of(desk.play("alice: buy 10 @ 101 fok decrement")) == "0 filled"


def test_cancelled_it_gives_back_what_is_hidden_too():
    desk = Desk()
    iceberg = desk.play("buy 10 @ 100 show 3")
    desk.play("sell 4 @ 100")
    [event] = desk.cancel(iceberg.id).events
    assert (plain(event.released), desk.depth()) == ("600", "|")


def test_a_decrement_meets_the_tip():
    desk = Desk()
    iceberg = desk.play("alice: sell 10 @ 100 show 3")
    desk.play("bob: sell 1 @ 100")
    taker = desk.play("alice: buy 5 @ 100 decrement")
    assert (desk.fills(taker), plain(taker.prevented)) == ("2:1@100", "4")
    assert (outcome_of(iceberg), plain(iceberg.tip), plain(iceberg.frozen)) == ("6 open", "2", "6")
    assert iceberg.priority == 3, "the event of the decrement that used the tip up"
    desk.play("alice: buy 9 @ 100 decrement")
    assert (outcome_of(iceberg), desk.depth()) == ("0 cancelled self_trade", "3@100 |")


def test_many_tips_are_met_in_as_many_steps():
    """One taker makes a trade for each tip, and a transaction has only so many."""
    at_once, in_steps = Desk(), Desk()
    for desk, steps in ((at_once, None), (in_steps, 4)):
        desk.play("sell 1000 @ 100 show 1", "sell 3 @ 100 show 2")
        desk.play("buy 1000 @ 100", max_steps=steps)
    assert len(in_steps.outcome.trades) <= 4 < len(at_once.outcome.trades) == 999
    assert [[trade[:1] + trade[4:] for trade in desk.trades] for desk in (at_once, in_steps)] == [
        [trade[:1] + trade[4:] for trade in at_once.trades]
    ] * 2
    assert at_once.depth() == in_steps.depth() == "| 1@100"


@dataclass
class Listed:
    """An order of the naive list."""

    id: int
    is_buy: bool
    price: int
    left: int
    display: int | None
    tip: int = 0


class NaiveList:
    """Orders in the order of their places in time, and takers that look at all of them. Of whole numbers."""

    def __init__(self) -> None:
        self.resting: list[Listed] = []

    def play(self, order: Listed) -> str:
        fills = []
        while order.left and (maker := self._best_for(order)) is not None:
            quantity = min(order.left, maker.tip)
            fills.append(f"{maker.id}:{quantity}@{maker.price}")
            for each in (order, maker):
                each.left -= quantity
            maker.tip -= quantity
            if not maker.tip:
                self.resting.remove(maker)
                self._rest(maker)
        self._rest(order)
        return " ".join(fills)

    def depth(self, is_buy: bool) -> list[tuple[int, int, int]]:
        levels: dict[int, list[int]] = {}
        for order in self.resting:
            if order.is_buy == is_buy:
                levels.setdefault(order.price, []).append(order.tip)
        return [(price, sum(levels[price]), len(levels[price])) for price in sorted(levels, reverse=is_buy)]

    def _best_for(self, taker: Listed) -> Listed | None:
        sign = 1 if taker.is_buy else -1
        crossed = [
            each for each in self.resting if each.is_buy != taker.is_buy and (taker.price - each.price) * sign >= 0
        ]
        return min(crossed, key=lambda each: each.price * sign, default=None)

    def _rest(self, order: Listed) -> None:
        if order.left:
            order.tip = min(order.display or order.left, order.left)
            self.resting.append(order)


@pytest.mark.parametrize(("seed", "max_steps"), [(1, None), (2, 1), (3, 2), (4, 5)])
def test_random_orders_trade_as_in_a_naive_list(seed, max_steps):
    dice, desk, naive = random.Random(seed), Desk(), NaiveList()
    for _ in range(800):
        if dice.random() < 0.15 and naive.resting:
            gone = dice.choice(naive.resting)
            naive.resting.remove(gone)
            desk.cancel(gone.id)
        is_buy, price, quantity = dice.random() < 0.5, dice.randint(97, 103), dice.randint(2, 30)
        display = dice.randint(1, quantity - 1) if dice.random() < 0.6 else None
        number = len(desk.orders) + 1
        line = f"{'buy' if is_buy else 'sell'} {quantity} @ {price}" + (f" show {display}" if display else "")
        taker = desk.play(line, max_steps=max_steps)
        assert desk.fills(taker) == naive.play(Listed(number, is_buy, price, quantity, display)), number
        for side in desk.book.ladders:
            shown = [(units(price), units(shown), count) for price, shown, count in naive.depth(side == "BUY")]
            assert desk.book.depth(side, 99) == shown
        if dice.random() < 0.1:
            # As after a crash: the book is built again of its orders, in any order.
            resting = [order for order in desk.orders.values() if order.active]
            dice.shuffle(resting)
            desk.book = Book(desk.book.rules, desk.book.next_sequence, resting, desk.book.last_price)
    assert sum(1 for trade in desk.trades if trade.maker.display_quantity) > 300


def test_a_delisting_cancels_tips_and_what_is_hidden():
    desk = Desk()
    desk.play("sell 10 @ 100 show 3", "buy 10 @ 99 show 4")
    desk.step(desk.book.cancel_first(9, Reason.MARKET_DELISTED))
    assert (desk.depth(), [order.frozen for order in desk.orders.values()]) == ("|", [0, 0])


@pytest.mark.parametrize("crashes", [False, True])
def test_a_triggered_order_goes_before_a_tip_that_is_younger_than_its_trigger(crashes):
    """One trade triggers both. The buyer fires first and uses a tip up; the seller then rests beside the next tip."""
    floor = Floor(crashes=crashes)
    floor.play("sell 10 @ 100 show 1", "buy 1 @ market stop 100", "sell 2 @ 100 stop 100", "buy 1 @ 100")
    assert floor.depth() == "| 3@100"
    assert floor.fills(floor.play("buy 3 @ 100")) == "3:2@100 1:1@100"
