"""What is answered of an order once its worker has taken it up, or as it is now where nobody waits.

Binance's engine refuses what ours rejects by an event: so a client that waits for the outcome reads a refusal.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from base.web.queries import MOST
from binance_api import representation
from binance_api.errors import CLOSED_MARKET, NO_FUNDS, UNKNOWN_ORDER, WOULD_TAKE, Refused, answer_of
from binance_api.order_form import ACK, FULL
from core.kinds import KINDS
from core.types import Reason, Side, Status
from markets.models import Trade
from orders.answers import Fill
from orders.fills import halves_of_order
from orders.models import Order
from orders.representation import represent_fill
from orders.resting import last_price
from orders.terms import OrderTerms
from orders.trails import show_order
from orders.waiting import LONGEST_MS, Show, Shown, wait_for

REJECTIONS = {
    Reason.WOULD_TAKE: WOULD_TAKE,
    Reason.INSUFFICIENT_FUNDS: NO_FUNDS,
    Reason.MARKET_HALTED: CLOSED_MARKET,
    Reason.MARKET_DELISTED: CLOSED_MARKET,
    Reason.NOT_IN_AUCTION: CLOSED_MARKET,
}


def rejection(order: Order) -> Refused | None:
    """What Binance would have refused at once."""
    if order.status != Status.REJECTED or order.reason is None:
        return None
    words = REJECTIONS.get(Reason(order.reason))
    return None if words is None else Refused(-2010, words)


def shown_order(order: Order) -> dict[str, Any]:
    return representation.order(show_order(order), order.self_trade_prevention)


def placed_body(answer: str, order: Order) -> dict[str, Any]:
    """The answer to a new order, of the kind that its client asked for."""
    shown = show_order(order)
    if answer == ACK:
        return representation.acknowledged(shown)
    fills = _fills(order) if answer == FULL else None
    return representation.placed(shown, order.self_trade_prevention, fills)


def _fills(order: Order) -> list[Fill]:
    """The first fills of the order: those that its row counts, because more may have come since it was read."""
    if not order.filled_quantity:
        return []
    ((side, of, _),) = halves_of_order(order)
    trades = list(Trade.objects.filter(**of).select_related("market").order_by("pk")[:MOST])
    counted = zip(trades, accumulate(trade.quantity for trade in trades), strict=True)
    return [represent_fill(side, trade) for trade, filled in counted if filled <= order.filled_quantity]


def placed_outcome(answer: str, order: Order) -> Shown | None:
    """The same once its outcome is known."""
    if order.status == Status.PENDING:
        return None
    refusal = rejection(order)
    return Shown(200, placed_body(answer, order)) if refusal is None else refused(refusal)


def cancelled_body(cancel_id: str, order: Order) -> dict[str, Any]:
    return representation.cancelled(show_order(order), order.self_trade_prevention, cancel_id)


def cancelled_outcome(cancel_id: str, order: Order) -> Shown | None:
    """What became of a cancel. One that came too late is refused, as if it had been asked for later."""
    if order.active:
        return None
    if order.status == Status.CANCELLED:
        return Shown(200, cancelled_body(cancel_id, order))
    return refused(Refused(-2011, UNKNOWN_ORDER))


def refused(refusal: Refused) -> Shown:
    known = answer_of(refusal)
    return Shown(known.status, known.body)


def answer_in_time(request: Request, order: Order, show: Show, now: Callable[[], Any]) -> Response:
    """What `show` says of the order within the time that may be waited; until then, or without it, what is so `now`."""
    known = show(order)
    if known is not None:
        return Response(known.body, status=known.status)
    wait_for(request, order, LONGEST_MS, show)
    return Response(now())


def answer_placed(request: Request, order: Order, answer: str) -> Response:
    """The answer to a new order. Who wants no more than that it is stored waits for nothing, except for the word on an
    order that must not take.
    """
    if answer == ACK and not order.post_only:
        return Response(placed_body(answer, order))
    return answer_in_time(request, order, partial(placed_outcome, answer), lambda: placed_body(answer, order))


def would_trigger(symbol: str, terms: OrderTerms) -> bool:
    """Whether the last price has reached the stop price already."""
    kind, last = KINDS[terms.type], last_price(symbol) if terms.stop_price is not None else None
    if last is None or terms.stop_price is None:
        return False
    is_upward = (terms.side == Side.BUY) is not kind.takes_profit
    return last >= terms.stop_price if is_upward else last <= terms.stop_price


def still(orders: Sequence[Order]) -> list[Order]:
    """The orders as they are now, in the order given."""
    found = Order.objects.in_bulk([order.id for order in orders])
    return [found[order.id] for order in orders]
