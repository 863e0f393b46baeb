"""What the stream tells of one step in an order's life: the same whether it comes from the engine or from its rows."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from base.storage.fields import units_or_none
from base.streams import Message
from base.web.errors import timestamp
from core import types as core
from core.money import plain_units, plain_units_or_none, to_units
from markets.models import Trade
from orders.models import Order, OrderEvent
from orders.representation import fee, represent_progress, role

ORDER_STATUS_UPDATE = "order-status-update"
# All events of a batch have one instant.
_timestamp = lru_cache(maxsize=1024)(timestamp)


class OrderInfo(NamedTuple):
    """What the engine keeps with an order for the sake of telling: matching does not need it."""

    client_order_id: str | None
    correlation_id: str
    created_at: datetime


class Fill(NamedTuple):
    """An order's half of the trade that a step is about. Amounts in units."""

    sequence: int
    price: int
    quantity: int
    role: str
    fee: int


class OrderUpdate(NamedTuple):
    """An event with all that is known of its order. Amounts in units of 1e-8."""

    sequence: int
    order_id: int
    client_order_id: str | None
    user_id: int
    symbol: str
    side: str
    type: str
    time_in_force: str
    post_only: bool
    price: int | None
    quantity: int | None
    quote_quantity: int | None
    filled: int
    filled_notional: int
    status: str
    reason: str | None
    active: bool
    correlation_id: str
    created_at: datetime
    at: datetime
    fill: Fill | None


def order_channel(user_id: int) -> str:
    return f"orders-{user_id}"


def from_engine(symbol: str, event: core.Event, now: datetime) -> OrderUpdate:
    """The step that the engine just committed."""
    order, info = event.order, event.order.info
    assert isinstance(info, OrderInfo), order
    return OrderUpdate(
        event.sequence,
        order.id,
        info.client_order_id,
        order.user_id,
        symbol,
        order.side,
        order.type,
        order.time_in_force,
        order.post_only,
        order.price,
        order.quantity,
        # Of a MARKET BUY by quantity the budget is the engine's own limit and nobody's wish.
        order.budget if order.quantity is None else None,
        event.filled,
        event.filled_notional,
        event.status,
        event.reason,
        event.active,
        info.correlation_id,
        info.created_at,
        now,
        None if event.trade is None else _engine_fill(order, event.trade),
    )


def from_rows(events: Iterable[OrderEvent], trades: Mapping[tuple[str, int], Trade]) -> list[OrderUpdate]:
    """The steps of events that were read from the database; `trades` by (symbol, sequence), as far as there are any."""
    events = list(events)
    orders = Order.objects.in_bulk({event.order_id for event in events})
    return [_stored_step(orders[event.order_id], event, trades) for event in events]


def represent_update(step: OrderUpdate) -> dict[str, Any]:
    """The order's full state as of the step, so that to apply it twice is harmless."""
    instant = _timestamp(step.at)
    data = {
        "orderId": step.order_id,
        "clientOrderId": step.client_order_id,
        "userId": step.user_id,
        "symbol": step.symbol,
        "side": step.side,
        "type": step.type,
        "timeInForce": step.time_in_force,
        "postOnly": step.post_only,
        "price": plain_units_or_none(step.price),
        "quantity": plain_units_or_none(step.quantity),
        "quoteQuantity": plain_units_or_none(step.quote_quantity),
        **represent_progress(step.quantity, step.filled, step.filled_notional),
        "status": step.status,
        "reason": step.reason,
        "active": step.active,
        "sequence": step.sequence,
        "correlationId": step.correlation_id,
        "createdAt": _timestamp(step.created_at),
        "updatedAt": instant,
        "closedAt": None if step.active else instant,
        "eventId": f"{step.symbol}-{step.sequence}",
    }
    if step.fill is not None:
        data["lastTrade"] = _represent_fill(step.symbol, step.fill)
    return data


def update_message(step: OrderUpdate) -> Message:
    data = represent_update(step)
    return Message(order_channel(step.user_id), ORDER_STATUS_UPDATE, data, data["eventId"])


def _represent_fill(symbol: str, fill: Fill) -> dict[str, str]:
    return {
        "tradeId": f"{symbol}-{fill.sequence}",
        "price": plain_units(fill.price),
        "quantity": plain_units(fill.quantity),
        "role": fill.role,
        "fee": plain_units(fill.fee),
    }


def _engine_fill(order: core.Order, trade: core.Trade) -> Fill:
    paid = trade.buyer_fee if order.side is core.Side.BUY else trade.seller_fee
    return Fill(trade.sequence, trade.price, trade.quantity, "TAKER" if order is trade.taker else "MAKER", paid)


def _stored_step(order: Order, event: OrderEvent, trades: Mapping[tuple[str, int], Trade]) -> OrderUpdate:
    trade = None if event.trade_sequence is None else trades.get((event.market_id, event.trade_sequence))
    return OrderUpdate(
        event.sequence,
        order.id,
        order.client_order_id,
        order.user_id,
        order.market_id,
        order.side,
        order.type,
        order.time_in_force,
        order.post_only,
        units_or_none(order.price),
        units_or_none(order.quantity),
        units_or_none(order.quote_quantity),
        to_units(event.filled_quantity),
        to_units(event.filled_notional),
        event.status,
        event.reason,
        event.active,
        order.correlation_id,
        order.created_at,
        event.created_at,
        None if trade is None else _stored_fill(order, trade),
    )


def _stored_fill(order: Order, trade: Trade) -> Fill:
    amounts = (to_units(trade.price), to_units(trade.quantity))
    return Fill(trade.sequence, *amounts, role(order, trade), to_units(fee(order, trade)))
