"""An order from what was asked for to the row that may be stored: what it reserves, and what the market says to it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from base.web.errors import ClientOrderIdReused, InvalidField, MarketNotTrading, refuse
from commands.backlog import refuse_when_busy
from core.money import MAX_AMOUNT, plain, plain_or_none
from core.types import MarketStatus
from markets.models import Market
from orders.correlation import new_correlation_id
from orders.models import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTerms:
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
class Accepted:
    """An order that is stored; `replayed` if it had been before, under the same client order id."""

    order: Order
    replayed: bool


def draft_order(user_id: int, market: Market, wanted: OrderTerms, now: datetime, correlation_id: str = "") -> Order:
    """The row of the order, not stored yet."""
    return Order(
        user_id=user_id,
        # By its key: the market is remembered and shared, and no row may hold on to it.
        market_id=market.symbol,
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
        fingerprint=_fingerprint(market.symbol, wanted),
        correlation_id=correlation_id or new_correlation_id(now),
        created_at=now,
        updated_at=now,
    )


def refuse_by_market(market: Market, wanted: OrderTerms) -> None:
    """What the market says to a new order. Raises MarketNotTrading, InvalidField, ValidationFailed, MarketBusy."""
    if market.status != MarketStatus.TRADING:
        raise MarketNotTrading(f"{market.symbol} is {market.status}", symbol=market.symbol, status=market.status)
    amounts = {"price": wanted.price, "quantity": wanted.quantity, "quote_quantity": wanted.quote_quantity}
    refuse(market_errors(amounts, market))
    # Last: what breaks a rule need not come again.
    refuse_when_busy(market.symbol)


def replay(earlier: Order, draft: Order) -> Accepted:
    """The order that was stored under the draft's client order id. Raises ClientOrderIdReused if it was another one."""
    if earlier.fingerprint != draft.fingerprint:
        key = draft.client_order_id
        raise ClientOrderIdReused(
            f"clientOrderId {key} belongs to another order", field="clientOrderId", orderId=earlier.id
        )
    return Accepted(earlier, replayed=True)


def _reserved(wanted: OrderTerms) -> Decimal:
    """What is frozen ahead. A MARKET BUY by quantity reserves nothing: nobody knows its price yet."""
    if wanted.side == "SELL":
        assert wanted.quantity is not None
        return wanted.quantity
    if wanted.type == "MARKET":
        return wanted.quote_quantity or Decimal(0)
    assert wanted.price is not None and wanted.quantity is not None
    return wanted.price * wanted.quantity


def _fingerprint(symbol: str, wanted: OrderTerms) -> str:
    """A digest of what was asked for, the same however its numbers were written. The names are in order."""
    fields = {
        "client_order_id": wanted.client_order_id,
        "post_only": wanted.post_only,
        "price": plain_or_none(wanted.price),
        "quantity": plain_or_none(wanted.quantity),
        "quote_quantity": plain_or_none(wanted.quote_quantity),
        "self_trade_prevention": wanted.self_trade_prevention,
        "side": wanted.side,
        "symbol": symbol,
        "time_in_force": wanted.time_in_force,
        "type": wanted.type,
    }
    return hashlib.blake2b(json.dumps(fields).encode(), digest_size=16).hexdigest()


def frozen_currency(market: Market, side: str) -> str:
    """The asset that an order reserves: what it gives away."""
    return str(market.quote_id if side == "BUY" else market.base_id)


LIMIT, MARKET = "LIMIT", "MARKET"


def shape_errors(values: dict[str, Any]) -> list[InvalidField]:
    """The rules between fields, those that hold in every market. Fields that could not be read are missing."""
    kind = values.get("type")
    if kind == LIMIT:
        return _limit_errors(values)
    if kind == MARKET:
        return _market_errors(values)
    return []


def _limit_errors(values: dict[str, Any]) -> list[InvalidField]:
    errors = []
    if "quote_quantity" in values:
        errors.append(_not_allowed("quoteQuantity", "is for MARKET BUY only"))
    if values.get("post_only") and values.get("time_in_force", "GTC") != "GTC":
        errors.append(_not_allowed("postOnly", "is for timeInForce GTC only"))
    return errors


def _market_errors(values: dict[str, Any]) -> list[InvalidField]:
    errors = []
    if "price" in values:
        errors.append(_not_allowed("price", "is for LIMIT only: a MARKET order has no price limit"))
    if "time_in_force" in values:
        errors.append(_not_allowed("timeInForce", "is for LIMIT only: a MARKET order never rests"))
    if values.get("post_only"):
        errors.append(_not_allowed("postOnly", "is for LIMIT only: a MARKET order always takes"))
    if "quote_quantity" in values and values.get("side") == "SELL":
        errors.append(_not_allowed("quoteQuantity", "is for MARKET BUY only"))
    if "quote_quantity" in values and "quantity" in values:
        errors.append(_not_allowed("quoteQuantity", "and quantity exclude each other"))
    return errors


def missing_errors(values: dict[str, Any], sent: set[str]) -> list[InvalidField]:
    """Fields that this type of order needs and that were not sent."""
    errors = []
    if values.get("type") == LIMIT and "price" not in sent:
        errors.append(InvalidField("price", "FIELD_REQUIRED", "price is required for LIMIT"))
    if "quantity" not in sent and not ("quoteQuantity" in sent and values.get("type") == MARKET):
        errors.append(InvalidField("quantity", "FIELD_REQUIRED", "quantity is required"))
    return errors


def market_errors(values: Mapping[str, Any], market: Market) -> list[InvalidField]:
    """The market's own rules: tick, lot, least and most. What was not sent, or not readable, is missing or None."""
    price, quantity, budget = values.get("price"), values.get("quantity"), values.get("quote_quantity")
    errors = []
    if price is not None:
        errors += _price_errors(price, market)
    if quantity is not None:
        errors += _quantity_errors(quantity, market)
    if budget is not None:
        errors += _budget_errors(budget, market)
    if not errors and price is not None and quantity is not None:
        errors += _notional_errors(price * quantity, market, "quantity")
    return errors


def _price_errors(price: Decimal, market: Market) -> list[InvalidField]:
    if price % market.tick_size:
        tick = plain(market.tick_size)
        message = f"price {plain(price)} is not a multiple of {tick}"
        return [InvalidField("price", "PRICE_OFF_TICK", message, tickSize=tick)]
    if price > MAX_AMOUNT:
        message = f"price {plain(price)} is above {MAX_AMOUNT}"
        return [InvalidField("price", "PRICE_TOO_LARGE", message, maxPrice=str(MAX_AMOUNT))]
    return []


def _quantity_errors(quantity: Decimal, market: Market) -> list[InvalidField]:
    shown = plain(quantity)
    if quantity % market.lot_size:
        lot = plain(market.lot_size)
        message = f"quantity {shown} is not a multiple of {lot}"
        return [InvalidField("quantity", "QUANTITY_OFF_LOT", message, lotSize=lot)]
    if quantity < market.min_quantity:
        least = plain(market.min_quantity)
        message = f"quantity {shown} is below {least}"
        return [InvalidField("quantity", "QUANTITY_TOO_SMALL", message, minQuantity=least)]
    if quantity > market.max_quantity:
        most = plain(market.max_quantity)
        message = f"quantity {shown} is above {most}"
        return [InvalidField("quantity", "QUANTITY_TOO_LARGE", message, maxQuantity=most)]
    return []


def _budget_errors(budget: Decimal, market: Market) -> list[InvalidField]:
    step = Decimal(1).scaleb(-market.quote.scale)
    if budget % step:
        message = f"quoteQuantity {plain(budget)} is not a multiple of {plain(step)}"
        return [InvalidField("quoteQuantity", "QUOTE_QUANTITY_OFF_SCALE", message, step=plain(step))]
    return _notional_errors(budget, market, "quoteQuantity")


def _notional_errors(notional: Decimal, market: Market, field: str) -> list[InvalidField]:
    if notional < market.min_notional:
        least = plain(market.min_notional)
        message = f"the order's value {plain(notional)} is below {least}"
        return [InvalidField(field, "NOTIONAL_TOO_SMALL", message, minNotional=least)]
    if notional > MAX_AMOUNT:
        message = f"the order's value {plain(notional)} is above {MAX_AMOUNT}"
        return [InvalidField(field, "NOTIONAL_TOO_LARGE", message, maxNotional=str(MAX_AMOUNT))]
    return []


def _not_allowed(field: str, why: str) -> InvalidField:
    return InvalidField(field, "FIELD_NOT_ALLOWED", f"{field} {why}")
