"""The book itself: cancel, refuse, depth, takers that need several batches, and the book built again."""

import itertools
import random
import subprocess
import sys
from decimal import Decimal

import pytest

from core.book import Book
from core.outcome import Outcome
from core.taker import place
from core.types import TRANSITIONS, Reason, Side, Status
from tests.support.tape import Desk, outcome_of, plain, units


def test_cancel():
    desk = Desk()
    order = desk.play("buy 5 @ 100")
    desk.play("sell 2 @ 100")
    (event,) = desk.cancel(order.id).events
    # Cancelled even though it was partly filled; what it had left goes back.
    assert outcome_of(order) == "3 cancelled user_cancelled"
    assert (order.active, order.frozen, plain(event.released)) == (False, 0, "300")
    assert desk.depth() == "|"


@pytest.mark.parametrize("line", ["sell 5 @ 100", "sell 9 @ 100 ioc", "sell 1 @ market"])
def test_cancel_of_what_no_longer_rests_changes_nothing(line):
    desk = Desk()
    desk.play("buy 5 @ 100")
    order = desk.play(line)
    before = outcome_of(order)
    assert desk.cancel(order.id).events == []
    assert desk.cancel(99).events == []
    assert outcome_of(order) == before


def test_cancel_twice():
    desk = Desk()
    order = desk.play("buy 5 @ 100")
    desk.cancel(order.id)
    assert desk.cancel(order.id) == Outcome([], [])


@pytest.mark.parametrize(
    ("status", "reason"), [(Status.REJECTED, Reason.MARKET_HALTED), (Status.FAILED, Reason.INTERNAL_ERROR)]
)
def test_refuse(status, reason):
    desk = Desk()
    desk.play("sell 5 @ 100")
    order = desk.order("buy 5 @ 100")
    (event,) = desk.step(desk.book.refuse(order, status, reason)).events
    assert (event.order, event.status, event.reason, event.active, event.filled) == (order, status, reason, False, 0)
    assert (event.released, order.frozen, order.active) == (units("500"), 0, False)
    assert desk.depth() == "| 5@100"


def test_depth():
    desk = Desk()
    assert [desk.book.best_price(side) for side in Side] == [None, None]
    desk.play("buy 1 @ 99", "buy 2 @ 98", "buy 3 @ 99", "sell 4 @ 101", "sell 5 @ 102", "buy 1 @ 97")
    assert desk.depth() == "4@99 2@98 1@97 | 4@101 5@102"
    assert [level.order_count for level in desk.book.depth(Side.BUY, 2)] == [2, 1]
    assert [desk.book.best_price(side) for side in Side] == [units("99"), units("101")]
    desk.play("sell 2 @ 99")
    assert desk.depth() == "2@99 2@98 1@97 | 4@101 5@102"
    assert not desk.book.is_crossed()


LONG = ("sell 1 @ 100", "sell 2 @ 100", "alice: sell 3 @ 101", "sell 4 @ 102", "sell 5 @ 103")


@pytest.mark.parametrize("max_steps", [1, 2, 3, 7, None])
@pytest.mark.parametrize(
    "line",
    [
        "buy 12 @ 102 none",
        "buy 12 @ 102 expire-maker",
        "buy 12 @ 102 expire-taker",
        "buy 12 @ 102 ioc expire-both",
        "buy 7 @ 102 fok expire-maker",
        "buy 15 @ market none",
        "buy market 1111 quote expire-maker",
    ],
)
def test_a_taker_goes_on_where_it_stopped(line, max_steps):
    at_once, in_steps = Desk(), Desk()
    for desk, steps in ((at_once, None), (in_steps, max_steps)):
        desk.play(*LONG)
        desk.play(f"alice: {line}", max_steps=steps)
    assert [tape(desk) for desk in (at_once, in_steps)] == [tape(at_once)] * 2


def tape(desk: Desk) -> tuple:
    trades = [(t.sequence, t.maker.id, t.taker.id, t.price, t.quantity) for t in desk.trades]
    return trades, [outcome_of(order) for order in desk.orders.values()], desk.depth()


def test_an_unfinished_taker_says_so():
    desk = Desk()
    desk.play(*LONG)
    taker = desk.order("buy 3 @ 100")
    first = desk.step(place(desk.book, taker, 1))
    assert (first.finished, outcome_of(taker), taker.active) == (False, "2 partially_filled", True)
    assert desk.depth() == "| 2@100 3@101 4@102 5@103", "it does not rest meanwhile"
    assert desk.step(place(desk.book, taker, 1)).finished
    assert outcome_of(taker) == "0 filled"


def test_exactly_as_many_steps_as_it_needs():
    desk = Desk()
    desk.play(*LONG)
    taker = desk.order("buy 4 @ 100")
    outcome = desk.step(place(desk.book, taker, 2))
    assert (outcome.finished, outcome_of(taker), desk.depth()) == (
        True,
        "1 partially_filled",
        "1@100 | 3@101 4@102 5@103",
    )


def test_events_are_numbered_from_where_the_market_stands():
    desk = Desk()
    resting = [desk.play(line) for line in (*LONG, "buy 1 @ 99", "buy 1 @ 99")]
    random.Random(1).shuffle(resting)
    desk.book = Book(desk.book.rules, 8, resting)
    assert desk.depth() == "2@99 | 3@100 3@101 4@102 5@103"
    assert desk.fills(desk.play("sell 1 @ 99")) == "6:1@99", "the first to come is the first to trade"


def test_a_crossed_book_is_not_built():
    desk = Desk()
    bid, ask = desk.play("buy 1 @ 100"), Desk().play("sell 1 @ 100")
    ask.id, ask.sequence = 2, 2
    with pytest.raises(ValueError, match="cross"):
        Book(desk.book.rules, 3, [bid, ask])


def test_the_table_of_transitions():
    """Every pair: what may follow what, as docs/api.md tells it."""
    closing = {Status.CANCELLED, Status.EXPIRED, Status.FAILED}
    ends = closing | {Status.FILLED, Status.REJECTED}
    allowed = {
        Status.PENDING: set(Status) - {Status.PENDING, Status.TRIGGERED},
        Status.WAITING: {Status.WAITING, Status.TRIGGERED} | closing,
        Status.TRIGGERED: ends | {Status.OPEN, Status.PARTIALLY_FILLED},
        Status.OPEN: ends | {Status.OPEN, Status.PARTIALLY_FILLED},
        Status.PARTIALLY_FILLED: closing | {Status.PARTIALLY_FILLED, Status.FILLED},
    }
    for before, after in itertools.product(Status, Status):
        assert (after in TRANSITIONS[before]) == (after in allowed.get(before, ())), (before, after)
    assert set(TRANSITIONS) == set(Status)


MIRROR = Decimal(200)


@pytest.mark.parametrize("seed", range(20))
def test_swapping_sides_and_mirroring_prices_mirrors_the_result(seed):
    """One path for both sides: a sell at 98 is to bids what a buy at 102 is to asks."""
    dice = random.Random(seed)
    plain_desk, mirror_desk = Desk(), Desk()
    for _ in range(60):
        who, side = dice.choice(["alice", "bob", "carol"]), dice.choice(["buy", "sell"])
        price, quantity = dice.randint(95, 105), dice.randint(1, 9)
        words = (
            dice.choice(["", "", "ioc", "fok", "post-only"])
            + " "
            + dice.choice(["expire-maker", "expire-both", "none"])
        )
        mirrored = {"buy": "sell", "sell": "buy"}[side]
        kind = dice.random() < 0.1
        plain_desk.play(f"{who}: {side} {quantity} @ {'market' if kind else price} {'' if kind else words}")
        mirror_desk.play(f"{who}: {mirrored} {quantity} @ {'market' if kind else 200 - price} {'' if kind else words}")
    outcomes = [[outcome_of(order) for order in desk.orders.values()] for desk in (plain_desk, mirror_desk)]
    assert outcomes[0] == outcomes[1]
    assert [t.price + u.price for t, u in zip(plain_desk.trades, mirror_desk.trades, strict=True)] == [
        units(MIRROR)
    ] * len(plain_desk.trades)
    assert len(plain_desk.trades) > 10


def test_core_loads_without_django():
    code = (
        "import sys, core.book, core.money, core.types\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'django', 'celery', 'kombu', 'redis', 'rest_framework'}, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
