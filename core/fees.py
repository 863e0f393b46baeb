"""Fees: what each side of a trade pays, in which asset, what a maker gets back, and what a BUY reserves for its fees.

- An order pays its rate of what it receives, in that asset. A BUY with `fee_in_quote` pays its rate of the notional, in
  quote, and so has its fee reserved: that of all of it at its limit price, at the larger of its two rates.
- A fee is rounded up at its asset's scale. The fills of one order must not together owe more than was reserved for
  them, so the reserved fee is that of the whole, less that of what is filled, both rounded up; and a fill never pays
  more than it sets free. The first fill pays in full; a later one may pay a step less.
- A MARKET BUY by quote quantity pays its fees out of that, and one by quantity out of what is available. It only takes,
  so its fees are in all the rounded fee of what it has spent.
- A negative rate is a maker's: in place of a fee the maker gets a rebate out of the taker's fee, in its asset, rounded
  down, and never more than that fee.
"""

from typing import NamedTuple

from core.money import UNIT, fee, notional
from core.types import Order, Rules, Side


class Charges(NamedTuple):
    """What a trade charges. The rebate is in the taker's fee currency.

    `unfrozen` is the amount that leaves the buyer's frozen funds.
    """

    unfrozen: int
    buyer_fee: int
    seller_fee: int
    rebate: int


def charge(
    rules: Rules,
    taker: Order,
    buyer: Order,
    buyer_rate: int,
    seller_rate: int,
    quantity: int,
    value: int,
) -> Charges:
    """The charges of a trade with a rebate, or of one whose buyer pays in quote, before its orders are filled."""
    seller_fee = fee(value, max(seller_rate, 0), rules.quote_step)
    if buyer.fee_in_quote:
        freed = freed_by_fill(buyer, quantity, value, rules.quote_step)
        buyer_fee = min(fee(value, max(buyer_rate, 0), rules.quote_step), freed - value)
        unfrozen = min(freed, buyer.frozen)
    else:
        buyer_fee = fee(quantity, max(buyer_rate, 0), rules.base_step)
        unfrozen = released_by_fill(buyer, quantity, value)
    maker_rate, taker_fee = (seller_rate, buyer_fee) if taker is buyer else (buyer_rate, seller_fee)
    rebate = 0
    if maker_rate < 0:
        in_base = taker is buyer and not buyer.fee_in_quote
        basis, step = (quantity, rules.base_step) if in_base else (value, rules.quote_step)
        # A negative fee is rounded up too, so what is paid back is rounded down.
        rebate = min(-fee(basis, maker_rate, step), taker_fee)
    return Charges(unfrozen, buyer_fee, seller_fee, rebate)


def released_by_fill(buyer: Order, quantity: int, value: int) -> int:
    """The amount that a fill takes out of the frozen funds of a buyer who pays in base: the notional at the own price.

    The difference to the price of the trade becomes available again. A buyer without a limit price reserved a quote
    quantity, or nothing.
    """
    return min(value, buyer.frozen) if buyer.price is None else notional(buyer.price, quantity)


def freed_by_fill(buyer: Order, quantity: int, value: int, step: int) -> int:
    """The same of a buyer who pays in quote, with the fee; without a limit price: what the fill takes of the limit."""
    if buyer.price is None:
        return value + fee_between(buyer.filled_notional, value, buyer.taker_fee_rate, step)
    before, more = notional(buyer.price, buyer.filled), notional(buyer.price, quantity)
    return more + fee_between(before, more, reserving_rate(buyer.maker_fee_rate, buyer.taker_fee_rate), step)


def fee_between(before: int, more: int, rate: int, step: int) -> int:
    """The fee of so much more notional, as a part of the rounded fee of all of it."""
    return fee(before + more, rate, step) - fee(before, rate, step)


def reserving_rate(maker_rate: int, taker_rate: int) -> int:
    """The rate at which a BUY reserves its fees: it may take or rest."""
    return max(maker_rate, taker_rate, 0)


def fee_reserved(order: Order, left: int, step: int) -> int:
    """What an order has frozen for the fees of what is left of it, beside the notional: 0 unless it pays in quote.

    `left`: the quantity that may still trade.
    """
    if not order.fee_in_quote or order.side is Side.SELL or order.price is None:
        return 0
    rate = reserving_rate(order.maker_fee_rate, order.taker_fee_rate)
    return fee_between(notional(order.price, order.filled), notional(order.price, left), rate, step)


def spent(order: Order, step: int) -> int:
    """What a MARKET BUY has spent of its limit: the notional, and its fees where it pays in quote."""
    fees = fee(order.filled_notional, order.taker_fee_rate, step) if order.fee_in_quote else 0
    return order.filled_notional + fees


def most_notional(order: Order, step: int) -> int:
    """The most notional that a MARKET BUY may have in all, so that its fees still are within its spend limit.

    What self-trade prevention took of a quote quantity is not in it any more.
    """
    assert order.spend_limit is not None, order
    limit = order.spend_limit - order.prevented_notional
    if not order.fee_in_quote:
        return limit
    # notional + fee <= limit, all of them multiples of the step, holds exactly if notional x (1 + rate) <= limit.
    return limit * UNIT // ((UNIT + order.taker_fee_rate) * step) * step
