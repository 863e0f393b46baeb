"""What an order reserves, what a trade takes of it, what comes back, and the fees."""

import pytest

from core.taker import place
from core.types import Reason, Status
from tests.support.tape import Desk, outcome_of, plain, units

ASKS = ("sell 5 @ 100", "sell 5 @ 100", "sell 9 @ 102")


def released(desk: Desk) -> str:
    return plain(sum(event.released for event in desk.outcome.events))


@pytest.mark.parametrize(
    ("line", "unfrozen", "paid", "given_back", "still_frozen"),
    [
        # Resting orders at 100 and 102: a buyer who said 105 froze more than it pays, trade by trade.
        ("buy 7 @ 105", "525 210", "500 200", "0", "0"),
        ("buy 12 @ 102", "510 510 204", "500 500 204", "0", "0"),
        ("buy 12 @ 101", "505 505", "500 500", "0", "202"),
        ("buy 12 @ 101 ioc", "505 505", "500 500", "202", "0"),
        ("buy 40 @ 101 fok", "", "", "4040", "0"),
        ("buy 1 @ 101 post-only", "", "", "101", "0"),
        # A budget pays what it costs; a market buy by quantity had nothing frozen.
        ("buy market 705 quote", "500 200", "500 200", "5", "0"),
        ("buy 7 @ market", "0 0", "500 200", "0", "0"),
    ],
)
def test_buyer_pays_the_makers_price(line, unfrozen, paid, given_back, still_frozen):
    desk = Desk()
    desk.play(*ASKS)
    order = desk.play(line)
    assert " ".join(plain(trade.buyer_unfrozen) for trade in desk.trades) == unfrozen
    assert " ".join(plain(trade.notional) for trade in desk.trades) == paid
    assert released(desk) == given_back
    assert plain(order.frozen) == still_frozen


def test_seller_gives_what_it_froze():
    desk = Desk()
    desk.play("buy 5 @ 100")
    order = desk.play("sell 7 @ 99")
    assert plain(order.frozen) == "2"
    desk.cancel(order.id)
    assert (released(desk), order.frozen) == ("2", 0)


@pytest.mark.parametrize(
    ("line", "fills", "outcome"),
    [
        ("buy market 500 quote", "1:5@100", "0 filled"),
        ("buy market 700 quote", "1:5@100 2:2@100", "0 filled"),
        ("buy market 799.99 quote", "1:5@100 2:2@100", "99.99 filled"),  # small change
        ("buy market 1101 quote", "1:5@100 2:5@100", "101 filled"),
        ("buy market 1102 quote", "1:5@100 2:5@100 3:1@102", "0 filled"),
        ("buy market 1918 quote", "1:5@100 2:5@100 3:9@102", "0 filled"),  # spent, and the book is empty
        ("buy market 1919 quote", "1:5@100 2:5@100 3:9@102", "1 partially_filled no_liquidity"),
        ("buy market 99.99999999 quote", "", "99.99999999 rejected insufficient_funds"),
    ],
)
def test_budget(line, fills, outcome):
    desk = Desk()
    desk.play(*ASKS)
    order = desk.play(line)
    assert (desk.fills(order), outcome_of(order)) == (fills, outcome)
    assert not order.active
    assert order.frozen == 0


@pytest.mark.parametrize(
    ("funds", "fills", "outcome"),
    [
        ("5000", "1:5@100 2:5@100 3:2@102", "0 filled"),
        ("1204", "1:5@100 2:5@100 3:2@102", "0 filled"),
        ("1203.99", "1:5@100 2:5@100 3:1@102", "1 partially_filled insufficient_funds"),
        ("1000", "1:5@100 2:5@100", "2 partially_filled insufficient_funds"),
        ("150", "1:1@100", "11 partially_filled insufficient_funds"),
        ("100", "1:1@100", "11 partially_filled insufficient_funds"),
        ("99", "", "12 rejected insufficient_funds"),
        ("0", "", "12 rejected insufficient_funds"),
    ],
)
def test_market_buy_spends_what_is_available(funds, fills, outcome):
    desk = Desk()
    desk.play(*ASKS)
    order = desk.play("buy 12 @ market", funds=funds)
    assert (desk.fills(order), outcome_of(order)) == (fills, outcome)
    assert order.frozen == 0
    assert all(trade.buyer_unfrozen == 0 for trade in desk.trades)


def test_budget_buys_whole_lots_only():
    desk = Desk(lot="0.01")
    desk.play("sell 5 @ 100")
    order = desk.play("buy market 33.335 quote")
    assert (desk.fills(order), outcome_of(order)) == ("1:0.33@100", "0.335 filled")


@pytest.mark.parametrize(
    ("taker", "buyer_fee", "seller_fee"),
    [
        ("buy 3 @ 100", "0.006", "0.3"),  # the buyer took: 0.2 % of 3 base; the seller made: 0.1 % of 300 quote
        ("buy market 300 quote", "0.006", "0.3"),
    ],
)
def test_fees_in_the_asset_received_at_the_rate_of_the_role(taker, buyer_fee, seller_fee):
    desk = Desk(maker_fee="0.001", taker_fee="0.002")
    desk.play("sell 5 @ 100")
    desk.play(taker)
    (trade,) = desk.trades
    assert (plain(trade.buyer_fee), plain(trade.seller_fee)) == (buyer_fee, seller_fee)


def test_fees_when_the_seller_takes():
    desk = Desk(maker_fee="0.001", taker_fee="0.002")
    desk.play("buy 5 @ 100", "sell 3 @ 100")
    (trade,) = desk.trades
    assert (plain(trade.buyer_fee), plain(trade.seller_fee)) == ("0.003", "0.6")


def test_each_order_pays_its_own_rate():
    desk = Desk(maker_fee="0.001", taker_fee="0.002")
    maker, taker = desk.order("sell 5 @ 100"), desk.order("buy 5 @ 100")
    maker.maker_fee_rate, taker.taker_fee_rate = 0, units("0.01")
    desk.step(place(desk.book, maker))
    desk.step(place(desk.book, taker))
    (trade,) = desk.trades
    assert (plain(trade.buyer_fee), plain(trade.seller_fee)) == ("0.05", "0")


def test_fees_are_rounded_up_at_the_scale_of_each_asset():
    desk = Desk(lot="0.001", maker_fee="0.0001", taker_fee="0.0001", base_step=units("0.001"), quote_step=units("0.01"))
    desk.play("sell 0.001 @ 10", "buy 0.001 @ 10")
    (trade,) = desk.trades
    assert (plain(trade.buyer_fee), plain(trade.seller_fee)) == ("0.001", "0.01")


@pytest.mark.parametrize(
    ("line", "frozen"), [("buy 3 @ 100", "300"), ("sell 3 @ 100", "3"), ("buy market 50 quote", "50")]
)
def test_a_refused_order_gives_everything_back(line, frozen):
    desk = Desk()
    order = desk.order(line)
    desk.step(desk.book.refuse(order, Status.REJECTED, Reason.MARKET_HALTED))
    assert (order.status, order.reason, order.active, order.frozen) == ("REJECTED", "MARKET_HALTED", False, 0)
    assert released(desk) == frozen
