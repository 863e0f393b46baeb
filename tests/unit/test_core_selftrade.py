"""An order that meets one of its own user's: the taker's mode decides. Orders 1 and 3 are Bob's, 2 is Alice's own."""

import pytest

from tests.support.tape import Desk, outcome_of

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
    ],
)
def test_taker_meets_its_own(line, fills, outcome, own, depth):
    desk = Desk()
    desk.play(*ASKS)
    taker = desk.play(f"alice: {line}")
    assert (desk.fills(taker), outcome_of(taker), outcome_of(desk.orders[2])) == (fills, outcome, own)
    assert desk.depth() == depth
    assert desk.orders[2].frozen == (desk.orders[2].quantity if desk.orders[2].active else 0)


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
    ],
)
def test_fill_or_kill_does_not_count_what_prevention_removes(line, fills, own):
    desk = Desk()
    desk.play(*ASKS)
    taker = desk.play(f"alice: {line}")
    assert desk.fills(taker) == fills
    assert (taker.status, taker.reason) == (("FILLED", None) if fills else ("EXPIRED", "FOK_NOT_FILLABLE"))
    assert outcome_of(desk.orders[2]) == own


@pytest.mark.parametrize("mode", ["none", "expire-taker", "expire-maker", "expire-both"])
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


@pytest.mark.parametrize("mode", ["expire-taker", "expire-maker", "expire-both"])
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
