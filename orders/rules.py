"""What an order must be before it may be stored. Pure: values in, broken rules out."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from base.storage.fields import plain
from base.web.errors import InvalidField
from core.money import MAX_AMOUNT
from markets.models import Market

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
