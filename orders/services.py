"""What users may do with orders: place and cancel. Both store and answer; the market's worker does the rest."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from balances.services import freeze
from base.storage.outages import again_on_deadlock
from base.web.errors import (
    ExchangeError,
    InvalidField,
    MarketBusy,
    MarketNotTrading,
    OrderClosed,
    OrderNotFound,
    ValidationFailed,
)
from commands.queue import submit, submit_cancels
from core.types import CommandKind
from markets.models import Market
from orders.log import cancels_accepted
from orders.models import Order
from orders.placing import count_placed, insert_orders
from orders.terms import Accepted, OrderTerms, draft_order, frozen_currency, refuse_by_market, replay


def place_order(user_id: int, market: Market, wanted: OrderTerms, correlation_id: str = "") -> Accepted:
    """Store an order with its reserved funds and its command, and ring its market.

    The balance's row is changed last, so that it is locked for as short as can be: the worker may be waiting for it.
    Raises ClientOrderIdReused, MarketNotTrading, MarketBusy, InvalidField, ValidationFailed, InsufficientFunds; nothing
    is stored then. A key that is known answers first, for the market's rules may have changed since. It is not looked
    for beforehand: the insert tells.
    """
    try:
        placed = _place(user_id, market, wanted, correlation_id)
    except ExchangeError as refusal:
        count_placed(market.symbol, refusal)
        raise
    count_placed(market.symbol, placed)
    return placed


@again_on_deadlock
def cancel_order(user_id: int, order_id: int) -> Order:
    """Queue a cancel behind what came before it. Raises OrderNotFound and OrderClosed."""
    with transaction.atomic():
        order = find_order(user_id, order_id)
        if not order.active:
            raise OrderClosed(f"order {order.id} is {order.status}", orderId=order.id, status=order.status)
        submit_cancels(order.market_id, [order.id])
    return order


@again_on_deadlock
def cancel_orders(user_id: int, symbol: str | None = None) -> int:
    """Queue a cancel for each of the user's open orders, in one market or in all; return how many."""
    with transaction.atomic():
        mine = Order.objects.filter(user_id=user_id, active=True)
        if symbol is not None:
            mine = mine.filter(market_id=symbol)
        by_market: dict[str, list[int]] = {}
        named = []
        for order_id, market_id, correlation_id in mine.order_by("id").values_list("id", "market_id", "correlation_id"):
            by_market.setdefault(market_id, []).append(order_id)
            named.append((order_id, correlation_id))
        for market_id, order_ids in sorted(by_market.items()):
            submit_cancels(market_id, order_ids)
    cancels_accepted(named)
    return len(named)


def find_order(user_id: int, order_id: int) -> Order:
    """The user's own order. Raises OrderNotFound, for another's as for none."""
    order = Order.objects.filter(user_id=user_id, id=order_id).first()
    if order is None:
        raise OrderNotFound(f"there is no order {order_id}", orderId=order_id)
    return order


@again_on_deadlock
def _place(user_id: int, market: Market, wanted: OrderTerms, correlation_id: str) -> Accepted:
    order = draft_order(user_id, market, wanted, timezone.now(), correlation_id)
    try:
        refuse_by_market(market, wanted)
        with transaction.atomic():
            insert_orders([order])
            submit(CommandKind.NEW, [(market.symbol, order.id)])
            if order.frozen:
                freeze(user_id, frozen_currency(market, wanted.side), order.frozen)
    except (IntegrityError, InvalidField, MarketBusy, MarketNotTrading, ValidationFailed):
        earlier = _stored_under_its_key(order)
        if earlier is None:
            raise
        return replay(earlier, order)
    return Accepted(order, replayed=False)


def _stored_under_its_key(order: Order) -> Order | None:
    """The order stored before under the same client order id."""
    if order.client_order_id is None:
        return None
    return Order.objects.filter(user_id=order.user_id, client_order_id=order.client_order_id).first()
