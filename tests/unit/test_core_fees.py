"""Fees in quote and rebates: what is reserved, what each fill pays, what is released, and what a maker gets back."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.fees import fee_reserved, most_notional
from core.market import Market, _limit_spending
from core.money import UNIT, fee, notional
from core.taker import place
from core.types import CommandKind, Order, OrderType, PendingCommand, Rules, Side
from tests.support.tape import Desk, outcome_of, plain, units

CENT = units("0.01")


def released(desk: Desk) -> str:
    return plain(sum(event.released for event in desk.outcome.events))


def desk_of(maker_fee: str = "0.001", taker_fee: str = "0.002", **more: int) -> Desk:
    return Desk(maker_fee=maker_fee, taker_fee=taker_fee, fee_in_quote=True, **more)


@pytest.mark.parametrize(
    ("lines", "fees", "unfrozen", "given_back", "still_frozen"),
    [
        # A taker at the price that it said: 0.2 % of 500 on top.
        (("sell 5 @ 100", "buy 5 @ 100"), "1", "501", "0", "0"),
        # At a better price it pays 0.2 % of what it paid, and what was frozen above that becomes available.
        (("sell 5 @ 100", "buy 5 @ 110"), "1", "551.1", "0", "0"),
        # The rest stays reserved at the larger rate; the cancel releases it.
        (("sell 5 @ 100", "buy 9 @ 100"), "1", "501", "0", "400.8"),
        (("sell 5 @ 100", "buy 9 @ 100 ioc"), "1", "501", "400.8", "0"),
        # A maker pays 0.1 %, and the other 0.1 % that was frozen becomes available with the fill.
        (("buy 5 @ 100", "sell 5 @ 99"), "0.5", "501", "0", "0"),
        # By quote quantity the fee is paid out of it: 500 + 1.
        (("sell 5 @ 100", "buy market 501 quote"), "1", "501", "0", "0"),
    ],
)
def test_a_buyer_who_pays_in_quote(lines, fees, unfrozen, given_back, still_frozen):
    desk = desk_of()
    desk.play(*lines)
    (trade,) = desk.trades
    assert trade.fee_in_quote
    assert (plain(trade.buyer_fee), plain(trade.buyer_unfrozen)) == (fees, unfrozen)
    assert (released(desk), plain(trade.buyer.frozen)) == (given_back, still_frozen)


@pytest.mark.parametrize(
    ("line", "funds", "fills", "outcome"),
    [
        ("buy market 501 quote", None, "1:5@100", "1 filled"),
        ("buy market 500.99 quote", None, "1:4@100", "100.99 filled"),
        ("buy market 1002 quote", None, "1:5@100 2:5@100", "2 filled"),  # spent, and the book is empty
        ("buy market 1003 quote", None, "1:5@100 2:5@100", "3 partially_filled no_liquidity"),
        ("buy market 100.19 quote", None, "", "100.19 rejected insufficient_funds"),
        ("buy 5 @ market", "501", "1:5@100", "0 filled"),
        ("buy 5 @ market", "500.99", "1:4@100", "1 partially_filled insufficient_funds"),
        ("buy 10 @ market", "1002", "1:5@100 2:5@100", "0 filled"),
    ],
)
def test_a_spend_limit_holds_the_fee_too(line, funds, fills, outcome):
    desk = desk_of()
    desk.play("sell 5 @ 100", "sell 5 @ 100")
    order = desk.play(line, funds=funds)
    assert (desk.fills(order), outcome_of(order), order.frozen) == (fills, outcome, 0)


def test_an_order_keeps_where_it_pays():
    """The market was changed between the two: one pays in quote, the other in what it receives."""
    desk = desk_of()
    desk.play("buy 1 @ 100")
    desk.fee_in_quote = False
    desk.play("buy 1 @ 100", "sell 2 @ 100")
    assert [(plain(trade.buyer_fee), trade.fee_in_quote) for trade in desk.trades] == [("0.1", True), ("0.001", False)]


def test_fills_do_not_round_up_more_than_was_reserved():
    """0.1 % of 4 is less than a cent, which the first of three fills pays; the whole would pay 0.012, so 0.02."""
    desk = desk_of("0.001", "0.001", quote_step=CENT)
    order = desk.play("buy 3 @ 4", "sell 1 @ 4", "sell 1 @ 4", "sell 1 @ 4") and desk.orders[1]
    assert [plain(trade.buyer_fee) for trade in desk.trades] == ["0.01", "0", "0.01"]
    assert (order.frozen, order.status) == (0, "FILLED")


@given(st.data())
def test_the_reserved_fee_is_never_overdrawn(data):
    """A LIMIT BUY in many fills as a taker and as a maker, at prices of its own and better ones."""
    step = data.draw(st.sampled_from([1, CENT, units("1")]))
    maker, taker = (data.draw(st.integers(0, UNIT - 1)) for _ in range(2))
    price = data.draw(st.integers(1, 1000)) * step
    sizes = data.draw(st.lists(st.integers(1, 50), min_size=1, max_size=12))
    desk = Desk(fee_in_quote=True, quote_step=step)
    desk.maker_fee, desk.taker_fee = 0, 0
    takes = data.draw(st.integers(0, len(sizes)))
    for size in sizes[:takes]:
        desk.play(f"sell {size} @ {plain(data.draw(st.integers(1, price // step)) * step)}")
    desk.maker_fee, desk.taker_fee = maker, taker
    buy = desk.play(f"buy {sum(sizes)} @ {plain(price)}")
    for size in sizes[takes:]:
        assert buy.frozen == notional(price, left(buy)) + fee_reserved(buy, left(buy), step) >= 0
        desk.play(f"sell {size} @ {plain(price)}")
    assert (buy.frozen, left(buy)) == (0, 0)
    for trade in desk.trades:
        full = fee(trade.notional, taker if trade.taker is buy else maker, step)
        assert full - step <= trade.buyer_fee <= full
        assert trade.notional + trade.buyer_fee <= trade.buyer_unfrozen


@given(st.integers(0, 10**12), st.integers(0, UNIT - 1), st.sampled_from([1, CENT, units("1")]), st.integers(0, 10**6))
def test_the_most_notional_that_a_limit_pays_for(steps, rate, step, less):
    order = Order(1, 1, Side.BUY, OrderType.MARKET, None, None, taker_fee_rate=rate, fee_in_quote=True)
    order.spend_limit = steps * step
    most = most_notional(order, step)
    assert most + fee(most, rate, step) <= order.spend_limit
    assert most + step + fee(most + step, rate, step) > order.spend_limit
    # Fill by fill it comes to the same.
    part = min(less * step, most)
    assert fee(part, rate, step) + (fee(most, rate, step) - fee(part, rate, step)) == fee(most, rate, step)


def test_an_unfinished_market_buy_goes_on_with_what_is_left():
    """It stopped after one fill, was read from its row again, and spends no more than it had."""
    desk = desk_of()
    desk.play("sell 5 @ 100", "sell 5 @ 100")
    order = desk.order("buy 10 @ market")
    _limit_spending(order, units("701.4"), 1)
    assert not desk.step(place(desk.book, order, max_steps=1)).finished
    _limit_spending(order, units("200.4"), 1)
    assert plain(order.spend_limit) == "701.4"
    desk.step(place(desk.book, order))
    assert desk.fills(order) == "1:5@100 2:2@100"


@pytest.mark.parametrize(
    ("maker", "taker", "in_quote", "rebate", "asset"),
    [
        ("sell 3 @ 100", "buy 3 @ 100", False, "0.0015", "BASE"),  # 0.05 % of 3 of the 0.1 % that the taker pays
        ("sell 3 @ 100", "buy 3 @ 100", True, "0.15", "QUOTE"),
        ("buy 3 @ 100", "sell 3 @ 100", False, "0.15", "QUOTE"),
        ("buy 3 @ 100", "sell 3 @ 100", True, "0.15", "QUOTE"),
    ],
)
def test_a_maker_gets_a_rebate_in_the_takers_fee_currency(maker, taker, in_quote, rebate, asset):
    desk = Desk(maker_fee="-0.0005", taker_fee="0.001", fee_in_quote=in_quote)
    desk.play(maker, taker)
    (trade,) = desk.trades
    assert (plain(trade.rebate), trade.taker_fee_asset("BASE", "QUOTE")) == (rebate, asset)
    paid = (trade.buyer_fee, trade.seller_fee) if trade.taker is trade.seller else (trade.seller_fee, trade.buyer_fee)
    assert paid[0] == 0 < paid[1]


def test_a_rebate_is_rounded_down_and_never_more_than_the_fee():
    desk = Desk(maker_fee="-0.0005", taker_fee="0.001", quote_step=CENT)
    desk.play("buy 1 @ 25", "sell 1 @ 25", "buy 1 @ 20", "sell 1 @ 20")
    assert [plain(trade.rebate) for trade in desk.trades] == ["0.01", "0.01"]
    desk.play("buy 1 @ 19", "sell 1 @ 19")
    desk.taker_fee = 0
    desk.play("buy 9 @ 25", "sell 9 @ 25")
    assert [plain(trade.rebate) for trade in desk.trades[2:]] == ["0", "0"]


@given(st.integers(-UNIT + 1, UNIT - 1), st.integers(0, UNIT - 1), st.booleans(), st.booleans(), st.integers(1, 10**5))
def test_a_batch_moves_what_its_trades_say(maker_fee, taker_fee, in_quote, buyer_takes, quantity):
    """Nothing comes into being: what both sides gain and lose is what the house collects, which is never below zero."""
    market = Market(Rules(1, base_step=1, quote_step=CENT), "TRADING")
    desk = Desk(lot="0.00000001", fee_in_quote=in_quote)
    desk.maker_fee, desk.taker_fee = maker_fee, taker_fee
    desk.book = market.book
    lines = [f"sell {plain(quantity * 10**6)} @ 1", f"buy {plain(quantity * 10**6)} @ 1"]
    orders = [desk.order(line) for line in (lines if buyer_takes else reversed(lines))]
    commands = [PendingCommand(at, CommandKind.NEW, order.id, order) for at, order in enumerate(orders)]
    frozen = {order.side: order.frozen for order in orders}
    batch = market.decide(commands, spendable={}, most_fills=10)
    (trade,) = batch.trades
    collected = {"BASE": 0, "QUOTE": 0}
    for (_, asset), change in batch.changes.items():
        collected[asset] -= change.available + change.frozen
    buyer_asset = "QUOTE" if in_quote else "BASE"
    charged = {"BASE": 0, "QUOTE": trade.seller_fee}
    charged[buyer_asset] += trade.buyer_fee
    charged[trade.taker_fee_asset("BASE", "QUOTE")] -= trade.rebate
    assert collected == charged
    assert min(collected.values()) >= 0
    buyer, seller = trade.buyer.user_id, trade.seller.user_id
    assert batch.changes[buyer, "QUOTE"].frozen == -frozen[Side.BUY]
    assert batch.changes[seller, "BASE"].frozen == -frozen[Side.SELL]
    exact = Fraction(max(-maker_fee, 0), UNIT) * (quantity * 10**6 if buyer_takes and not in_quote else trade.notional)
    assert trade.rebate <= exact


def left(order: Order) -> int:
    assert order.quantity is not None
    return order.quantity - order.filled
