"""What a trade must have charged, and what an order must have reserved for its fees, by the rules of docs/api.md.

Amounts are in units. Written a second time, and not read from the core, which the checks judge.
"""

from typing import NamedTuple

from audit.reference_data import MarketState
from audit.rows import OrderRow, TradeRow
from core.money import UNIT


class Charged(NamedTuple):
    buyer_fee: int
    seller_fee: int
    rebate: int


def charged(market: MarketState, trade: TradeRow, buy: OrderRow, sell: OrderRow, bought: int, paid: int) -> Charged:
    """`bought` and `paid`: quantity and notional of the buyer's earlier trades."""
    buyer_takes = trade.taker_side == "BUY"
    takes = not market.is_in_auction(trade.sequence)
    buyer_rate = buy.taker_fee_rate if buyer_takes and takes else buy.maker_fee_rate
    seller_rate = sell.taker_fee_rate if takes and not buyer_takes else sell.maker_fee_rate
    seller_fee = rounded_up(trade.notional * max(seller_rate, 0), market.quote_step)
    if buy.fee_in_quote:
        buyer_fee = rounded_up(trade.notional * max(buyer_rate, 0), market.quote_step)
        buyer_fee = min(buyer_fee, _left_for_fee(market, trade, buy, bought, paid))
    else:
        buyer_fee = rounded_up(trade.quantity * max(buyer_rate, 0), market.base_step)
    maker_rate = seller_rate if buyer_takes else buyer_rate
    basis, step = trade.notional, market.quote_step
    if buyer_takes and not buy.fee_in_quote:
        basis, step = trade.quantity, market.base_step
    paid_back = max(-maker_rate, 0) * basis // (UNIT * step) * step
    return Charged(buyer_fee, seller_fee, min(paid_back, buyer_fee if buyer_takes else seller_fee))


def _left_for_fee(market: MarketState, trade: TradeRow, buy: OrderRow, bought: int, paid: int) -> int:
    """What the trade set free of the buyer's reserved funds or spend limit, beyond its notional."""
    if buy.price is None:
        rate, before, after, saved = buy.taker_fee_rate, paid, paid + trade.notional, 0
    else:
        rate = max(buy.maker_fee_rate, buy.taker_fee_rate, 0)
        before, after = (buy.price * quantity // UNIT for quantity in (bought, bought + trade.quantity))
        saved = after - before - trade.notional
    return saved + rounded_up(after * rate, market.quote_step) - rounded_up(before * rate, market.quote_step)


def reserved_for_fees(market: MarketState, order: OrderRow, left: int) -> int:
    """What a BUY that pays in quote has frozen for fees, beside the notional of the quantity that is left."""
    if not order.fee_in_quote or order.price is None:
        return 0
    rate = max(order.maker_fee_rate, order.taker_fee_rate, 0)
    filled, all_of_it = (order.price * each // UNIT for each in (order.filled_quantity, order.filled_quantity + left))
    return rounded_up(all_of_it * rate, market.quote_step) - rounded_up(filled * rate, market.quote_step)


def spent_on_fees(market: MarketState, order: OrderRow) -> int:
    """What a MARKET BUY has paid in fees out of its quote quantity."""
    return rounded_up(order.filled_notional * order.taker_fee_rate, market.quote_step) if order.fee_in_quote else 0


def rounded_up(exact: int, step: int) -> int:
    """A fee, given in units times units, rounded up to a multiple of the step."""
    return -(-exact // (UNIT * step)) * step
