"""Who trades with whom, at which price, and how an order ends."""

import pytest

from tests.support.tape import Desk, outcome_of

ASKS = ("sell 5 @ 100", "sell 5 @ 100", "sell 9 @ 102")
BIDS = ("buy 5 @ 100", "buy 5 @ 100", "buy 9 @ 98")


@pytest.mark.parametrize(
    ("line", "fills", "outcome", "depth"),
    [
        # A limit takes what crosses its price and rests with the remainder.
        ("buy  1 @ 99", "", "1 open", "1@99 | 10@100 9@102"),
        ("buy  5 @ 100", "1:5@100", "0 filled", "| 5@100 9@102"),
        ("buy  7 @ 100", "1:5@100 2:2@100", "0 filled", "| 3@100 9@102"),
        ("buy  7 @ 101", "1:5@100 2:2@100", "0 filled", "| 3@100 9@102"),
        ("buy 12 @ 100", "1:5@100 2:5@100", "2 partially_filled", "2@100 | 9@102"),
        ("buy 12 @ 102", "1:5@100 2:5@100 3:2@102", "0 filled", "| 7@102"),
        ("buy 30 @ 105", "1:5@100 2:5@100 3:9@102", "11 partially_filled", "11@105 |"),
        # IOC never rests.
        ("buy  7 @ 100 ioc", "1:5@100 2:2@100", "0 filled", "| 3@100 9@102"),
        ("buy 12 @ 100 ioc", "1:5@100 2:5@100", "2 partially_filled ioc_remainder", "| 9@102"),
        ("buy 12 @ 99 ioc", "", "12 expired ioc_remainder", "| 10@100 9@102"),
        # FOK trades all or nothing.
        ("buy 10 @ 100 fok", "1:5@100 2:5@100", "0 filled", "| 9@102"),
        ("buy 11 @ 100 fok", "", "11 expired fok_not_fillable", "| 10@100 9@102"),
        ("buy 11 @ 102 fok", "1:5@100 2:5@100 3:1@102", "0 filled", "| 8@102"),
        ("buy  1 @ 99 fok", "", "1 expired fok_not_fillable", "| 10@100 9@102"),
        # Post-only is refused rather than trade.
        ("buy  1 @ 99 post-only", "", "1 open", "1@99 | 10@100 9@102"),
        ("buy  1 @ 100 post-only", "", "1 rejected would_take", "| 10@100 9@102"),
        ("buy  1 @ 150 post-only", "", "1 rejected would_take", "| 10@100 9@102"),
        # MARKET has no price, crosses as many levels as it needs, never rests.
        ("buy  7 @ market", "1:5@100 2:2@100", "0 filled", "| 3@100 9@102"),
        ("buy 12 @ market", "1:5@100 2:5@100 3:2@102", "0 filled", "| 7@102"),
        ("buy 20 @ market", "1:5@100 2:5@100 3:9@102", "1 partially_filled no_liquidity", "|"),
        ("sell 1 @ market", "", "1 rejected no_liquidity", "| 10@100 9@102"),
    ],
)
def test_taker_meets_asks(line, fills, outcome, depth):
    desk = Desk()
    desk.play(*ASKS)
    order = desk.play(line)
    assert (desk.fills(order), outcome_of(order), desk.depth()) == (fills, outcome, depth)
    assert order.frozen == (order.price * (order.quantity - order.filled) // 10**8 if order.active else 0)


@pytest.mark.parametrize(
    ("line", "fills", "outcome", "depth"),
    [
        ("sell 1 @ 101", "", "1 open", "10@100 9@98 | 1@101"),
        ("sell 7 @ 99", "1:5@100 2:2@100", "0 filled", "3@100 9@98 |"),
        ("sell 12 @ 99", "1:5@100 2:5@100", "2 partially_filled", "9@98 | 2@99"),
        ("sell 12 @ 98", "1:5@100 2:5@100 3:2@98", "0 filled", "7@98 |"),
        ("sell 12 @ 99 ioc", "1:5@100 2:5@100", "2 partially_filled ioc_remainder", "9@98 |"),
        ("sell 11 @ 99 fok", "", "11 expired fok_not_fillable", "10@100 9@98 |"),
        ("sell 1 @ 100 post-only", "", "1 rejected would_take", "10@100 9@98 |"),
        ("sell 20 @ market", "1:5@100 2:5@100 3:9@98", "1 partially_filled no_liquidity", "|"),
        ("buy 1 @ market", "", "1 rejected no_liquidity", "10@100 9@98 |"),
        ("buy market 500 quote", "", "500 rejected no_liquidity", "10@100 9@98 |"),
    ],
)
def test_taker_meets_bids(line, fills, outcome, depth):
    desk = Desk()
    desk.play(*BIDS)
    order = desk.play(line)
    assert (desk.fills(order), outcome_of(order), desk.depth()) == (fills, outcome, depth)


def test_best_price_first_then_first_come():
    desk = Desk()
    desk.play("sell 1 @ 103", "sell 1 @ 101", "sell 1 @ 102", "sell 1 @ 101")
    taker = desk.play("buy 9 @ 105 ioc")
    assert desk.fills(taker) == "2:1@101 4:1@101 3:1@102 1:1@103"


def test_a_partly_filled_maker_keeps_its_place():
    desk = Desk()
    first, second = desk.play("sell 5 @ 100"), desk.play("sell 5 @ 100")
    desk.play("buy 2 @ 100")
    assert (outcome_of(first), outcome_of(second)) == ("3 partially_filled", "5 open")
    assert desk.fills(desk.play("buy 4 @ 100")) == "1:3@100 2:1@100"


def test_the_remainder_of_a_taker_queues_behind_those_who_wait():
    desk = Desk()
    desk.play("sell 1 @ 100", "buy 1 @ 99")
    taker = desk.play("buy 3 @ 100")
    assert desk.depth() == "2@100 1@99 |"
    desk.play("buy 1 @ 100")
    assert desk.fills(desk.play("sell 4 @ 99")) == f"{taker.id}:2@100 4:1@100 2:1@99"


def test_a_trade_names_its_sides_and_carries_the_number_of_the_takers_fill():
    desk = Desk()
    seller, buyer = desk.play("sell 2 @ 100"), desk.play("buy 2 @ 101")
    (trade,) = desk.trades
    assert (trade.buyer, trade.seller, trade.maker, trade.taker) == (buyer, seller, seller, buyer)
    fill_of_taker, fill_of_maker = desk.outcome.events
    assert (fill_of_taker.order, fill_of_maker.order) == (buyer, seller)
    assert fill_of_taker.trade is fill_of_maker.trade is trade
    assert trade.sequence == fill_of_taker.sequence
    assert buyer.filled_notional == seller.filled_notional == trade.notional == 200 * 10**8


def test_prices_and_quantities_of_eight_digits():
    desk = Desk(lot="0.0001")
    desk.play("sell 0.0003 @ 43210.1234", "sell 12.3456 @ 43210.1235")
    taker = desk.play("buy 1 @ 43210.1235")
    assert desk.fills(taker) == "1:0.0003@43210.1234 2:0.9997@43210.1235"
    assert desk.depth() == "| 11.3459@43210.1235"
