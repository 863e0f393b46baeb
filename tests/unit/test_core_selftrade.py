"""An order that meets one of its own user's: the taker's mode decides. Orders 1 and 3 are Bob's, 2 is Alice's own."""

import pytest

from core.kinds import owed
from core.market import Market
from core.types import PendingCommand
from tests.support.exchange import Floor
from tests.support.tape import Desk, outcome_of, plain

ASKS = ("bob: sell 5 @ 100", "alice: sell 5 @ 101", "bob: sell 5 @ 102")
GONE = "5 cancelled self_trade"


@pytest.mark.parametrize(
    ("line", "fills", "outcome", "own", "depth"),
    [
        ("buy 12 @ 102 none", "1:5@100 2:5@101 3:2@102", "0 filled", "0 filled", "| 3@102"),
        # What was filled before stands; the rest is closed where it meets its own order, whatever its kind.
        ("buy 12 @ 102 expire-taker", "1:5@100", "7 cancelled self_trade", "5 open", "| 5@101 5@102"),
        ("buy 12 @ 102 ioc expire-taker", "1:5@100", "7 cancelled self_trade", "5 open", "| 5@101 5@102"),
        ("buy 12 @ market expire-taker", "1:5@100", "7 cancelled self_trade", "5 open", "| 5@101 5@102"),
        ("buy market 1200 quote expire-taker", "1:5@100", "700 cancelled self_trade", "5 open", "| 5@101 5@102"),
        # Filled, or out of its price, before it meets its own: nothing to prevent.
        ("buy 5 @ 102 expire-taker", "1:5@100", "0 filled", "5 open", "| 5@101 5@102"),
        ("buy 6 @ 100 expire-taker", "1:5@100", "1 partially_filled", "5 open", "1@100 | 5@101 5@102"),
        # The own resting order goes, the taker goes on.
        ("buy 12 @ 102 expire-maker", "1:5@100 3:5@102", "2 partially_filled", GONE, "2@102 |"),
        ("buy 8 @ 102 expire-maker", "1:5@100 3:3@102", "0 filled", GONE, "| 2@102"),
        ("buy 9 @ market expire-maker", "1:5@100 3:4@102", "0 filled", GONE, "| 1@102"),
        ("buy 5 @ 102 expire-maker", "1:5@100", "0 filled", "5 open", "| 5@101 5@102"),
        ("buy 6 @ 101 expire-maker", "1:5@100", "1 partially_filled", GONE, "1@101 | 5@102"),
        ("buy 6 @ 101 ioc expire-maker", "1:5@100", "1 partially_filled ioc_remainder", GONE, "| 5@102"),
        ("buy 11 @ market expire-maker", "1:5@100 3:5@102", "1 partially_filled no_liquidity", GONE, "|"),
        # Both.
        ("buy 12 @ 102 expire-both", "1:5@100", "7 cancelled self_trade", GONE, "| 5@102"),
        ("buy 5 @ 102 expire-both", "1:5@100", "0 filled", "5 open", "| 5@101 5@102"),
        # Both lose the smaller quantity. What is left goes on; nothing left is no fill.
        ("buy 12 @ 102 decrement", "1:5@100 3:2@102", "0 cancelled self_trade", "0 cancelled self_trade", "| 3@102"),
        ("buy 8 @ 102 decrement", "1:5@100", "0 cancelled self_trade", "2 open", "| 2@101 5@102"),
        ("buy 10 @ 102 decrement", "1:5@100", "0 cancelled self_trade", "0 cancelled self_trade", "| 5@102"),
        ("buy 5 @ 102 decrement", "1:5@100", "0 filled", "5 open", "| 5@101 5@102"),
        ("buy 12 @ 101 decrement", "1:5@100", "2 partially_filled", "0 cancelled self_trade", "2@101 | 5@102"),
        (
            "buy 12 @ 101 ioc decrement",
            "1:5@100",
            "2 partially_filled ioc_remainder",
            "0 cancelled self_trade",
            "| 5@102",
        ),
        ("buy 8 @ market decrement", "1:5@100", "0 cancelled self_trade", "2 open", "| 2@101 5@102"),
        # A quote quantity loses what its part of the own order would have cost.
        ("buy market 702 quote decrement", "1:5@100", "0 cancelled self_trade", "3 open", "| 3@101 5@102"),
        ("buy market 750 quote decrement", "1:5@100", "48 cancelled self_trade", "3 open", "| 3@101 5@102"),
        (
            "buy market 1209 quote decrement",
            "1:5@100 3:2@102",
            "0 cancelled self_trade",
            "0 cancelled self_trade",
            "| 3@102",
        ),
        (
            "buy market 2000 quote decrement",
            "1:5@100 3:5@102",
            "485 partially_filled no_liquidity",
            "0 cancelled self_trade",
            "|",
        ),
    ],
)
def test_taker_meets_its_own(line, fills, outcome, own, depth):
    desk = Desk()
    desk.play(*ASKS)
    taker = desk.play(f"alice: {line}")
    assert (desk.fills(taker), outcome_of(taker), outcome_of(desk.orders[2])) == (fills, outcome, own)
    assert desk.depth() == depth
    assert desk.orders[2].frozen == (desk.orders[2].quantity if desk.orders[2].active else 0)
    assert taker.frozen == (owed(taker, 1) if taker.active else 0)


@pytest.mark.parametrize(
    ("line", "fills", "own"),
    [
        # Own liquidity counts towards "all" only where nothing is prevented.
        ("buy 15 @ 102 fok none", "1:5@100 2:5@101 3:5@102", "0 filled"),
        ("buy 11 @ 102 fok expire-maker", "", "5 open"),
        ("buy 10 @ 102 fok expire-maker", "1:5@100 3:5@102", GONE),
        # Nothing behind the first own order can be reached by a taker that stops there.
        ("buy 6 @ 102 fok expire-taker", "", "5 open"),
        ("buy 5 @ 102 fok expire-taker", "1:5@100", "5 open"),
        ("buy 6 @ 102 fok expire-both", "", "5 open"),
        ("buy 5 @ 102 fok expire-both", "1:5@100", "5 open"),
        ("buy 6 @ 102 fok decrement", "", "5 open"),
        ("buy 5 @ 102 fok decrement", "1:5@100", "5 open"),
    ],
)
def test_fill_or_kill_does_not_count_what_prevention_removes(line, fills, own):
    desk = Desk()
    desk.play(*ASKS)
    taker = desk.play(f"alice: {line}")
    assert desk.fills(taker) == fills
    assert (taker.status, taker.reason) == (("FILLED", None) if fills else ("EXPIRED", "FOK_NOT_FILLABLE"))
    assert outcome_of(desk.orders[2]) == own


@pytest.mark.parametrize("mode", ["none", "expire-taker", "expire-maker", "expire-both", "decrement"])
def test_post_only_would_take_its_own_too(mode):
    desk = Desk()
    desk.play("alice: sell 5 @ 100")
    taker = desk.play(f"alice: buy 5 @ 100 post-only {mode}")
    assert (outcome_of(taker), desk.depth()) == ("5 rejected would_take", "| 5@100")


def test_the_mode_of_the_taker_decides_and_not_that_of_the_maker():
    desk = Desk()
    desk.play("alice: sell 5 @ 100 expire-both", "alice: buy 5 @ 100 none")
    assert [trade.quantity for trade in desk.trades] == [5 * 10**8]


def test_expire_maker_removes_all_it_meets_and_rests():
    desk = Desk()
    desk.play("alice: sell 1 @ 100", "alice: sell 1 @ 101", "alice: sell 1 @ 103")
    desk.play("alice: buy 5 @ 102 expire-maker")
    assert desk.depth() == "5@102 | 1@103"
    assert [outcome_of(desk.orders[n]) for n in (1, 2, 3)] == ["1 cancelled self_trade"] * 2 + ["1 open"]


@pytest.mark.parametrize("mode", ["expire-taker", "expire-maker", "expire-both", "decrement"])
@pytest.mark.parametrize(
    ("line", "funds", "outcome"),
    [
        ("buy market 500 quote", None, "0 filled"),
        ("buy market 550 quote", None, "50 filled"),
        ("buy 12 @ market", "500", "7 partially_filled insufficient_funds"),
        ("buy 12 @ market", "599", "7 partially_filled insufficient_funds"),
    ],
)
def test_a_taker_that_can_buy_no_more_meets_nobody(line, funds, outcome, mode):
    """Its own order waits at 101, out of reach of what is left: there is nothing to prevent."""
    desk = Desk()
    desk.play(*ASKS)
    taker = desk.play(f"alice: {line} {mode}", funds=funds)
    assert (desk.fills(taker), outcome_of(taker)) == ("1:5@100", outcome)
    assert outcome_of(desk.orders[2]) == "5 open"


def test_a_decrement_is_an_event_of_each_the_maker_first():
    desk = Desk()
    desk.play("alice: sell 5 @ 100", "bob: sell 1 @ 100")
    taker = desk.play("alice: buy 9 @ 103 decrement")
    told = [
        (event.order.id, event.status, event.reason, event.active, plain(event.released))
        for event in desk.outcome.events
    ]
    assert told == [
        (1, "CANCELLED", "SELF_TRADE", False, "5"),
        (3, "OPEN", "SELF_TRADE", True, "515"),
        (3, "PARTIALLY_FILLED", None, True, "0"),
        (2, "FILLED", None, False, "0"),
    ]
    assert (taker.reason, plain(taker.prevented), outcome_of(taker), plain(taker.frozen)) == (
        *(None, "5", "3 partially_filled", "309"),
    )
    # The event that fills the rest says so, too.
    desk.play("sell 3 @ 103")
    assert (outcome_of(taker), plain(taker.filled), taker.frozen) == ("0 cancelled self_trade", "4", 0)


def test_a_decrement_leaves_the_maker_its_place():
    desk = Desk()
    desk.play("alice: sell 5 @ 100", "bob: sell 5 @ 100", "alice: buy 2 @ 100 decrement")
    assert desk.fills(desk.play("carol: buy 4 @ 100")) == "1:3@100 2:1@100"


def test_a_market_buy_that_can_pay_for_little_is_decremented_once():
    """In steps of what it can pay for, one order could make any number of events."""
    desk = Desk()
    desk.play("alice: sell 1000 @ 100")
    taker = desk.play("alice: buy 900 @ market decrement", funds="100")
    assert (outcome_of(desk.orders[1]), plain(taker.prevented), len(desk.outcome.events)) == ("100 open", "900", 2)


def test_a_taker_that_rests_is_written_though_only_others_have_an_event_then():
    """Its fills were in an earlier transaction; in the last one it removes an order of its own and rests."""
    desk = Desk()
    lines = ("bob: sell 1 @ 100", "alice: sell 1 @ 101", "alice: buy 3 @ 101 expire-maker")
    commands = [PendingCommand(n, "NEW", n, desk.order(line)) for n, line in enumerate(lines, 1)]
    market = Market(desk.book.rules, "TRADING")
    market.decide(commands[:2], spendable={}, most_fills=1)
    first = market.decide(commands[2:], spendable={}, most_fills=1)
    assert (first.unfinished_order_id, first.rested) == (3, [])
    second = market.decide(commands[2:], spendable={}, most_fills=1)
    assert [event.order.id for event in second.events] == [2]
    assert second.rested == [desk.orders[3]]


def test_a_decrement_of_an_oco_leaves_what_the_other_leg_needs_and_is_no_fill():
    floor = Floor()
    limit, stop = floor.send_oco("alice: sell 5 @ 110", "alice: sell 5 @ 89 stop 90")
    floor.drain()
    floor.play("alice: buy 2 @ 110 decrement")
    assert (outcome_of(limit), outcome_of(stop), plain(limit.frozen)) == ("3 open", "5 waiting", "5")
    floor.play("alice: buy 4 @ 110 decrement")
    assert [(event.order.id, event.status, event.reason) for event in floor.batches[-1].events] == [
        (limit.id, "CANCELLED", "SELF_TRADE"),
        (stop.id, "CANCELLED", "OCO"),
        (4, "OPEN", "SELF_TRADE"),
    ]
    assert (limit.frozen, stop.frozen, floor.depth()) == (0, 0, "1@110 |")
