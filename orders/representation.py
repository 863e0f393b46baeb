"""Orders, fills and timelines as clients see them, over REST and over the stream."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from base.streams import Message
from base.web.errors import ExchangeError, timestamp
from core import outcome
from core import types as core
from core.money import plain, plain_average, plain_or_none, plain_units, plain_units_or_none, to_units, units_or_none
from core.types import Side, Status
from markets.models import Market, Trade
from markets.services import known_market
from orders import answers
from orders.models import Order, OrderEvent
from orders.terms import Accepted
from orders.terms_text import parse_terms

ORDER_STATUS_UPDATE = "order-status-update"
# Cached, because all events of a batch have the same time.
_timestamp = lru_cache(maxsize=1024)(timestamp)


# The columns of an order that the engine needs only for order updates, in the order in which OrderInfo takes them.
INFO_COLUMNS = ("client_order_id", "correlation_id", "created_at", "placed_by_id")


class OrderInfo:
    """What the engine keeps with an order for its order updates and logs, from values as the driver gives them.

    `terms` are the fields that never change, as clients see them. They are made once, for the order's first event.
    """

    __slots__ = (*INFO_COLUMNS, "terms")

    def __init__(
        self, client_order_id: str | None, correlation_id: str, created_at: datetime, placed_by_id: int | None = None
    ) -> None:
        self.client_order_id = client_order_id
        self.placed_by_id = placed_by_id
        self.correlation_id = correlation_id
        self.created_at = created_at.replace(tzinfo=UTC)
        self.terms: answers.OrderFields | None = None


def represent_order(order: Order) -> answers.Order:
    """An order's full state."""
    filled, notional = to_units(order.filled_quantity), to_units(order.filled_notional)
    return {
        **_row_terms(order),
        **_progress(units_or_none(order.quantity), filled, notional, units_or_none(order.prevented_quantity) or 0),
        "status": order.status,
        "reason": order.reason,
        "active": order.active,
        "sequence": order.sequence,
        "updatedAt": timestamp(order.updated_at),
        "closedAt": timestamp(order.closed_at) if order.closed_at else None,
    }


def from_engine(rules: core.Rules, event: outcome.Event, now: datetime) -> Message:
    """The order update of an event that the engine has just committed."""
    order, symbol = event.order, rules.symbol
    # Of an order that was plain at this event: what prevention took came later.
    asked, quantity, prevented = _engine_terms(symbol, order), _asked_for(order), 0
    if event.terms is not None:
        quantity, prevented = event.terms.quantity, event.terms.prevented
        asked = _as_changed(asked, event.terms, order.triggered_at)
    data = _update(symbol, asked, quantity, prevented, event, event.filled, event.filled_notional, now)
    if order.closed_at is not None and not event.active:
        data["closedAt"] = _timestamp_or_none(order.closed_at)
    if event.trade is not None:
        data["lastTrade"] = _engine_fill(rules, order, event.trade)
    return _message(order.user_id, data)


def from_rows(events: Iterable[OrderEvent], trades: Mapping[tuple[str, int], Trade]) -> list[Message]:
    """The order updates of stored events, equal to the engine's. `trades` holds their trades by (symbol, sequence)."""
    events = list(events)
    orders = Order.objects.in_bulk({event.order_id for event in events})
    return [_from_row(orders[event.order_id], event, trades) for event in events]


def order_channel(user_id: int) -> str:
    return f"orders-{user_id}"


def _from_row(order: Order, event: OrderEvent, trades: Mapping[tuple[str, int], Trade]) -> Message:
    filled, notional = to_units(event.filled_quantity), to_units(event.filled_notional)
    quantity, symbol = units_or_none(order.quantity), order.market_id
    asked, prevented = _row_terms(order), 0
    if event.terms is not None:
        then = parse_terms(event.terms)
        quantity, prevented = then.quantity, then.prevented
        asked = _as_changed(asked, then, order.triggered_at)
    elif order.placed_price is not None:
        # Of before its first amend.
        quantity = to_units(order.placed_quantity)
        asked["price"], asked["quantity"] = plain(order.placed_price), plain(order.placed_quantity)
    data = _update(symbol, asked, quantity, prevented, event, filled, notional, event.created_at)
    if not event.active and order.closed_at is not None:
        # Earlier, where an amend was refused because the order was closed.
        data["closedAt"] = _timestamp_or_none(order.closed_at)
    trade = None if event.trade_sequence is None else trades.get((event.market_id, event.trade_sequence))
    if trade is not None:
        data["lastTrade"] = {
            "tradeId": trade.trade_id,
            "price": plain(trade.price),
            "quantity": plain(trade.quantity),
            "role": role(order.side, trade),
            "fee": plain(fee(order.side, trade)),
            "feeCurrency": fee_currency(order.side, trade, known_market(symbol)),
        }
    return _message(order.user_id, data)


def _message(user_id: int, data: answers.OrderStatusUpdate) -> Message:
    return Message(order_channel(user_id), ORDER_STATUS_UPDATE, data, data["eventId"])


def _update(
    symbol: str,
    terms: answers.OrderFields,
    quantity: int | None,
    prevented: int,
    event: outcome.Event | OrderEvent,
    filled: int,
    notional: int,
    at: datetime,
) -> answers.OrderStatusUpdate:
    """The order's full state after the event: a client that receives it twice still shows the right state."""
    instant = _timestamp(at)
    # mypy cannot know that neither of the first two holds a lastTrade.
    return {
        **terms,
        **_progress(quantity, filled, notional, prevented),  # type: ignore[typeddict-item]
        "status": event.status,
        "reason": event.reason,
        "active": event.active,
        "sequence": event.sequence,
        "updatedAt": instant,
        "closedAt": None if event.active else instant,
        "eventId": f"{symbol}-{event.sequence}",
    }


def _engine_terms(symbol: str, order: core.Order) -> answers.OrderFields:
    info = order.info
    assert isinstance(info, OrderInfo), order
    if info.terms is None:
        # The spend limit of a MARKET BUY by quantity is set by the engine, and clients do not see it.
        amounts = (order.price, _asked_for(order), order.spend_limit if order.quantity is None else None)
        info.terms = _terms(order, symbol, *amounts, info)
    return info.terms


def _asked_for(order: core.Order) -> int | None:
    """The order's quantity as its client knows it, with what prevention took."""
    return None if order.quantity is None else order.quantity + order.prevented


def _as_changed(asked: answers.OrderFields, terms: outcome.Terms, triggered_at: object) -> answers.OrderFields:
    """What an extended order asks for, with its terms as they were after an event."""
    changed = asked.copy()
    changed["price"], changed["quantity"] = plain_units_or_none(terms.price), plain_units_or_none(terms.quantity)
    changed["stopPrice"] = plain_units_or_none(terms.stop_price)
    changed["displayQuantity"] = plain_units_or_none(terms.display_quantity)
    changed["expiresAt"] = _timestamp_or_none(terms.expires_at)
    changed["triggeredAt"] = _timestamp_or_none(triggered_at) if terms.is_triggered else None
    return changed


def _row_terms(order: Order) -> answers.OrderFields:
    amounts = (units_or_none(order.price), units_or_none(order.quantity), units_or_none(order.quote_quantity))
    terms = _terms(order, order.market_id, *amounts, order)
    stop_price, trailing_offset = order.stop_price, order.trailing_offset
    terms["stopPrice"], terms["trailingOffset"] = plain_or_none(stop_price), plain_or_none(trailing_offset)
    terms["displayQuantity"] = plain_or_none(order.display_quantity)
    terms["expiresAt"], terms["triggeredAt"] = map(_timestamp_or_none, (order.expires_at, order.triggered_at))
    return terms


def _timestamp_or_none(at: Any) -> str | None:
    return None if at is None else _timestamp(at)


def _terms(
    order: Order | core.Order,
    symbol: str,
    price: int | None,
    quantity: int | None,
    quote_quantity: int | None,
    info: Order | OrderInfo,
) -> answers.OrderFields:
    """The fields of an order that never change. Amounts in units."""
    return {
        "orderId": order.id,
        "clientOrderId": info.client_order_id,
        "userId": order.user_id,
        "symbol": symbol,
        "side": order.side,
        "type": order.type,
        "timeInForce": order.time_in_force,
        "postOnly": order.post_only,
        "price": plain_units_or_none(price),
        "quantity": plain_units_or_none(quantity),
        "quoteQuantity": plain_units_or_none(quote_quantity),
        "stopPrice": None,
        "trailingOffset": plain_units_or_none(order.trailing_offset) if isinstance(order, core.Order) else None,
        "triggeredAt": None,
        "displayQuantity": None,
        "expiresAt": None,
        "groupId": order.group_id,
        "placedBy": info.placed_by_id,
        "correlationId": info.correlation_id,
        "createdAt": _timestamp(info.created_at),
    }


def _progress(quantity: int | None, filled: int, filled_notional: int, prevented: int) -> answers.Progress:
    """The fields that fills change. Amounts in units; only the average price is rounded."""
    return {
        "filledQuantity": plain_units(filled),
        "remainingQuantity": None if quantity is None else plain_units(quantity - filled - prevented),
        "preventedQuantity": plain_units(prevented),
        "filledQuote": plain_units(filled_notional),
        "averagePrice": plain_average(filled_notional, filled) if filled else None,
    }


def _engine_fill(rules: core.Rules, order: core.Order, trade: outcome.Trade) -> answers.LastTrade:
    is_taker, is_buyer = order is trade.taker, order.side is core.Side.BUY
    paid = trade.buyer_fee if is_buyer else trade.seller_fee
    in_quote = not is_buyer or trade.fee_in_quote
    currency = rules.quote if in_quote else rules.base
    if trade.rebate and not is_taker:
        paid, currency = -trade.rebate, trade.taker_fee_asset(rules.base, rules.quote)
    return {
        "tradeId": f"{rules.symbol}-{trade.sequence}",
        "price": plain_units(trade.price),
        "quantity": plain_units(trade.quantity),
        "role": "TAKER" if is_taker else "MAKER",
        "fee": plain_units(paid),
        "feeCurrency": currency,
    }


def represent_fill(side: str, trade: Trade) -> answers.Fill:
    """One order's half of a trade: the buyer's or the seller's."""
    is_buyers = side == Side.BUY
    return {
        "tradeId": trade.trade_id,
        "orderId": trade.buy_order_id if is_buyers else trade.sell_order_id,
        "symbol": trade.market_id,
        "side": side,
        "role": role(side, trade),
        "price": plain(trade.price),
        "quantity": plain(trade.quantity),
        "fee": plain(fee(side, trade)),
        "feeCurrency": fee_currency(side, trade, trade.market),
        "createdAt": timestamp(trade.created_at),
    }


def represent_event(event: OrderEvent) -> answers.OrderEvent:
    """One step of an order's timeline."""
    return {
        "eventId": event.event_id,
        "sequence": event.sequence,
        "status": event.status,
        "filledQuantity": plain(event.filled_quantity),
        "reason": event.reason,
        "createdAt": timestamp(event.created_at),
    }


def represent_accepted(order: Order) -> answers.AcceptedOrder:
    """The answer to an accepted order. It holds only what never changes, so that a repeat has the same answer."""
    return {
        "orderId": order.id,
        "clientOrderId": order.client_order_id,
        "status": Status.PENDING.value,
        "message": "Order accepted for processing",
        "correlationId": order.correlation_id,
    }


def represent_result(result: Accepted | ExchangeError) -> dict[str, Any]:
    """The result of one order of a batch."""
    if isinstance(result, ExchangeError):
        return {"code": result.status, "error": result.error, "message": result.message, "data": result.data}
    return {"code": 202, **represent_accepted(result.order), "replayed": result.is_repeated}


def role(side: str, trade: Trade) -> answers.Role:
    """TAKER if the order of that side arrived and met the other one, MAKER if it rested."""
    return "TAKER" if side == trade.taker_side else "MAKER"


def fee(side: str, trade: Trade) -> Decimal:
    """What the order of that side paid; below zero for a maker's rebate."""
    if trade.rebate and side != trade.taker_side:
        return -Decimal(trade.rebate)
    paid: Decimal = trade.buyer_fee if side == Side.BUY else trade.seller_fee
    return paid


def fee_currency(side: str, trade: Trade, market: Market) -> str:
    """The asset of that fee. A rebate is in that of the taker's fee."""
    of = trade.taker_side if trade.rebate else side
    code: str = market.base_id if of == Side.BUY and not trade.fee_in_quote else market.quote_id
    return code
