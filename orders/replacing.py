"""Replace an order: cancel it and place another one, in one command.

The new order may use what the old one has frozen, so intake freezes only what it needs beyond that. That amount belongs
to the command: the new order has nothing frozen until the worker has cancelled the old one.
"""

from collections import Counter
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from balances.available import no_funds, require_more
from balances.services import freeze_one
from base.storage.outages import again_on_deadlock
from base.storage.statements import GuardFailed
from base.web.errors import InvalidField
from commands.queue import submit_change
from core.types import CommandKind
from markets.models import Market
from orders import open_orders
from orders.errors import InGroup
from orders.exposure import lock_exposure, notional_of
from orders.ids import order_ids
from orders.models import Order
from orders.placing import OrderRequest, count_result
from orders.powers import record_placed
from orders.resting import reference_price
from orders.rows import insert_orders, until_stored
from orders.services import find_order
from orders.terms import Accepted, draft_order, refuse_by_market, repeat, reserved


def replace_order(old_id: int, request: OrderRequest) -> Accepted:
    """Store the new order with the command that cancels the old one, which is the same user's and may be closed.

    Raises OrderNotFound, InGroup, and what placing an order raises.
    """
    placed: Accepted = until_stored(lambda: _replace(old_id, request))
    count_result(request.market.symbol, placed)
    return placed


@again_on_deadlock
def _replace(old_id: int, request: OrderRequest) -> Accepted:
    market, terms = request.market, request.terms
    with transaction.atomic():
        old = find_order(request.user_id, old_id)
        if old.market_id != market.symbol:
            message = f"symbol {market.symbol} is not the old order's: that is in {old.market_id}"
            raise InvalidField("symbol", "OTHER_SYMBOL", message, symbol=old.market_id)
        order = draft_order(request.user_id, market, terms, timezone.now(), request.correlation_id, replaces=old_id)
        order.placed_by_id = None if request.actor is None else request.actor.user_id
        if (earlier := _stored(order)) is not None:
            return repeat(earlier, order)
        if old.group_id is not None:
            raise InGroup(f"order {old_id} is of group {old.group_id}: cancel it, and both end", orderId=old_id)
        refuse_by_market(request.user_id, market, terms, reference_price)
        is_unchecked = _refuse_by_limits(order, old, market)
        missing = _missing(order, old, market)
        insert_orders([order], checks_users=is_unchecked)
        order_ids.issued([order.id])
        submit_change(CommandKind.REPLACE, market.symbol, order.id, {"replaces": old_id}, missing)
        record_placed([(order, request.actor)])
        if missing:
            # Late, because the worker may wait for the balance's row.
            freeze_one((order.user_id, market.pays_with(order.side)), missing)
        _count(order, old, market)
    return Accepted(order, is_repeated=False)


def _stored(order: Order) -> Order | None:
    """The order that is stored under the same client order id."""
    if order.client_order_id is None:
        return None
    return Order.objects.filter(user_id=order.user_id, client_order_id=order.client_order_id).first()


def _refuse_by_limits(order: Order, old: Order, market: Market) -> bool:
    """Whether the user needs no look. Raises AccountBlocked and LimitExceeded."""
    exposure = lock_exposure(order.user_id)
    if exposure is None:
        return True
    instead = notional_of(old) if old.active else Decimal(0)
    if (refusal := exposure.refusal(order, market, instead)) is not None:
        raise refusal
    return False


def _missing(order: Order, old: Order, market: Market) -> Decimal:
    """What the new order needs beside what the old one has frozen. Raises InsufficientFunds."""
    need, asset = reserved(order, market), market.pays_with(order.side)
    lent: Decimal = old.frozen if old.active and market.pays_with(old.side) == asset else Decimal(0)
    if not need and not lent:
        # It will spend what is available when it is matched.
        try:
            require_more({(order.user_id, asset): Decimal(0)})
        except GuardFailed as error:
            raise no_funds(asset) from error
    return max(Decimal(0), need - lent)


def _count(order: Order, old: Order, market: Market) -> None:
    """Count the new order. The old one is open until the worker has cancelled it, and keeps nobody from replacing it.

    Raises TooManyOpenOrders.
    """
    key = (market.symbol, order.user_id)
    opened, most = Counter({key: 1}), {market.symbol: market.max_open_orders + bool(old.active)}
    number = open_orders.lock_numbers(opened, most)[key]
    if number >= most[market.symbol]:
        raise open_orders.too_many(market.symbol, number, market.max_open_orders)
    open_orders.count_opened(opened, most)
