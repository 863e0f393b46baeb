"""What users may do with orders: place and cancel. Both store and answer; the market's worker does the rest."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.utils import timezone

from balances.services import freeze
from exchange.amounts import plain
from exchange.deadlocks import again_on_deadlock
from exchange.errors import ClientOrderIdReused, MarketNotTrading, OrderClosed, OrderNotFound, refuse
from markets.models import Market, MarketStatus
from matching.models import CommandKind
from matching.queue import submit, submit_cancels
from orders.models import Order
from orders.rules import market_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """An order as its user asked for it: well formed."""

    side: str
    type: str
    price: Decimal | None = None
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    time_in_force: str = "GTC"
    post_only: bool = False
    client_order_id: str | None = None
    self_trade_prevention: str | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """An order that is stored; `replayed` if it had been before, under the same client order id."""

    order: Order
    replayed: bool


@again_on_deadlock
def place_order(user_id: int, market: Market, wanted: NewOrder, correlation_id: str = "") -> Placed:
    """Store an order with its reserved funds and its command, and ring its market.

    The balance's row is changed last, so that it is locked for as short as can be: the worker may be waiting for it.
    Raises ClientOrderIdReused, MarketNotTrading, InvalidField, ValidationFailed, InsufficientFunds; nothing is stored
    then. A key that is known answers first: the market's rules may have changed since.
    """
    fingerprint = _fingerprint(market.symbol, wanted)
    earlier = _repeated(user_id, wanted.client_order_id, fingerprint)
    if earlier:
        return Placed(earlier, replayed=True)
    if market.status != MarketStatus.TRADING:
        raise MarketNotTrading(f"{market.symbol} is {market.status}", symbol=market.symbol, status=market.status)
    refuse(market_errors({name: value for name, value in asdict(wanted).items() if value is not None}, market))
    order = _new_order(user_id, market, wanted, fingerprint, correlation_id)
    try:
        with transaction.atomic():
            order.save(force_insert=True)
            submit(CommandKind.NEW, market.symbol, order.id)
            if order.frozen:
                freeze(user_id, frozen_currency(market, wanted.side), order.frozen)
    except IntegrityError:
        # The same client order id may have been stored after we looked: that order is the one.
        earlier = _repeated(user_id, wanted.client_order_id, fingerprint)
        if earlier is None:
            raise
        return Placed(earlier, replayed=True)
    return Placed(order, replayed=False)


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
        for order_id, market_id in mine.order_by("id").values_list("id", "market_id"):
            by_market.setdefault(market_id, []).append(order_id)
        for market_id, order_ids in sorted(by_market.items()):
            submit_cancels(market_id, order_ids)
    return sum(map(len, by_market.values()))


def find_order(user_id: int, order_id: int) -> Order:
    """The user's own order. Raises OrderNotFound, for another's as for none."""
    order = Order.objects.filter(user_id=user_id, id=order_id).first()
    if order is None:
        raise OrderNotFound(f"there is no order {order_id}", orderId=order_id)
    return order


def frozen_currency(market: Market, side: str) -> str:
    """The asset that an order reserves: what it gives away."""
    return str(market.quote_id if side == "BUY" else market.base_id)


def _new_order(user_id: int, market: Market, wanted: NewOrder, fingerprint: str, correlation_id: str) -> Order:
    now = timezone.now()
    return Order(
        user_id=user_id,
        market=market,
        side=wanted.side,
        type=wanted.type,
        price=wanted.price,
        quantity=wanted.quantity,
        quote_quantity=wanted.quote_quantity,
        # A MARKET order has no time in force of its own: what cannot trade at once is closed.
        time_in_force="IOC" if wanted.type == "MARKET" else wanted.time_in_force,
        post_only=wanted.post_only,
        client_order_id=wanted.client_order_id,
        self_trade_prevention=wanted.self_trade_prevention or market.self_trade_prevention,
        frozen=_reserved(wanted),
        maker_fee_rate=market.maker_fee_rate,
        taker_fee_rate=market.taker_fee_rate,
        fingerprint=fingerprint,
        correlation_id=correlation_id or uuid.uuid4().hex,
        created_at=now,
        updated_at=now,
    )


def _reserved(wanted: NewOrder) -> Decimal:
    """What is frozen ahead. A MARKET BUY by quantity reserves nothing: nobody knows its price yet."""
    if wanted.side == "SELL":
        assert wanted.quantity is not None
        return wanted.quantity
    if wanted.type == "MARKET":
        return wanted.quote_quantity or Decimal(0)
    assert wanted.price is not None and wanted.quantity is not None
    return wanted.price * wanted.quantity


def _repeated(user_id: int, client_order_id: str | None, fingerprint: str) -> Order | None:
    """The order already stored under this key. Raises ClientOrderIdReused if it was another one."""
    if client_order_id is None:
        return None
    order = Order.objects.filter(user_id=user_id, client_order_id=client_order_id).first()
    if order is not None and order.fingerprint != fingerprint:
        raise ClientOrderIdReused(
            f"clientOrderId {client_order_id} belongs to another order", field="clientOrderId", orderId=order.id
        )
    return order


def _fingerprint(symbol: str, wanted: NewOrder) -> str:
    """A digest of what was asked for, the same however its numbers were written."""
    fields: Mapping[str, object] = {"symbol": symbol, **asdict(wanted)}
    text = json.dumps(fields, sort_keys=True, default=plain)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
