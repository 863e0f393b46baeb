"""Orders, fills and timelines as clients see them, over REST and over the stream alike."""

from decimal import Decimal
from typing import Any

from base.storage.fields import units_or_none
from base.web.errors import ExchangeError, timestamp
from core.money import average_price, plain, plain_or_none, plain_units, to_units
from core.types import Status
from markets.models import Trade
from orders.models import Order, OrderEvent
from orders.terms import Accepted


def represent_order(order: Order) -> dict[str, Any]:
    """An order's full state."""
    return {
        "orderId": order.id,
        "clientOrderId": order.client_order_id,
        "userId": order.user_id,
        "symbol": order.market_id,
        "side": order.side,
        "type": order.type,
        "timeInForce": order.time_in_force,
        "postOnly": order.post_only,
        "price": plain_or_none(order.price),
        "quantity": plain_or_none(order.quantity),
        "quoteQuantity": plain_or_none(order.quote_quantity),
        **represent_progress(
            units_or_none(order.quantity),
            to_units(order.filled_quantity),
            to_units(order.filled_notional),
        ),
        "status": order.status,
        "reason": order.reason,
        "active": order.active,
        "sequence": order.sequence,
        "correlationId": order.correlation_id,
        "createdAt": timestamp(order.created_at),
        "updatedAt": timestamp(order.updated_at),
        "closedAt": timestamp(order.closed_at) if order.closed_at else None,
    }


def represent_progress(quantity: int | None, filled: int, filled_notional: int) -> dict[str, Any]:
    """How far an order got, from units; the average price is rounded to eight places."""
    return {
        "filledQuantity": plain_units(filled),
        "remainingQuantity": None if quantity is None else plain_units(quantity - filled),
        "averagePrice": plain_units(average_price(filled_notional, filled)) if filled else None,
    }


def represent_fill(order: Order, trade: Trade) -> dict[str, Any]:
    """One order's half of a trade."""
    currency = trade.market.base_id if order.side == "BUY" else trade.market.quote_id
    return {
        "tradeId": trade.trade_id,
        "orderId": order.id,
        "symbol": trade.market_id,
        "side": order.side,
        "role": role(order, trade),
        "price": plain(trade.price),
        "quantity": plain(trade.quantity),
        "fee": plain(fee(order, trade)),
        "feeCurrency": currency,
        "createdAt": timestamp(trade.created_at),
    }


def represent_event(event: OrderEvent) -> dict[str, Any]:
    """One step of an order's timeline."""
    return {
        "eventId": event.event_id,
        "sequence": event.sequence,
        "status": event.status,
        "filledQuantity": plain(event.filled_quantity),
        "reason": event.reason,
        "createdAt": timestamp(event.created_at),
    }


def represent_accepted(order: Order) -> dict[str, Any]:
    """What was true when the order was stored, and is answered again whenever the request is repeated."""
    return {
        "orderId": order.id,
        "clientOrderId": order.client_order_id,
        "status": Status.PENDING.value,
        "message": "Order accepted for processing",
        "correlationId": order.correlation_id,
    }


def represent_result(result: Accepted | ExchangeError) -> dict[str, Any]:
    """What became of one order of a batch."""
    if isinstance(result, ExchangeError):
        return {"code": result.status, "error": result.error, "message": result.message, "data": result.data}
    return {"code": 202, **represent_accepted(result.order), "replayed": result.replayed}


def role(order: Order, trade: Trade) -> str:
    """TAKER if the order arrived and met the other, MAKER if it was resting."""
    return "TAKER" if order.side == trade.taker_side else "MAKER"


def fee(order: Order, trade: Trade) -> Decimal:
    """What the order paid for the trade, in the asset that it received."""
    paid: Decimal = trade.buyer_fee if order.side == "BUY" else trade.seller_fee
    return paid
