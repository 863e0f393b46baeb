"""The rules of a market that an order must keep at intake: tick, lot, smallest and largest, and the price band.

Intake reads no book in memory. The reference price is read from the stored rows, and only where a rule asks for it: for
a LIMIT order in a market with a price band, and for a MARKET order by quantity in one that limits an order's value.
The band does not bind a stop before it is triggered; one without a limit price is worth what its stop price says.
"""

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

from base.web.errors import InvalidField
from core.band import furthest_price
from core.money import MAX_AMOUNT, plain, to_decimal, to_units
from core.types import Side
from markets.models import Market

# Reads the reference price of a market by its symbol.
Reference = Callable[[str], Decimal | None]
# What one taker meets of an iceberg is a trade for each tip.
MOST_TIPS = 1000


def market_errors(values: Mapping[str, Any], market: Market) -> list[InvalidField]:
    """Check the market's own rules: tick, lot, smallest and largest. A field that was not sent is missing or None."""
    price, quantity, quote_quantity = values.get("price"), values.get("quantity"), values.get("quote_quantity")
    display = values.get("display_quantity")
    stop_price, trailing_offset = values.get("stop_price"), values.get("trailing_offset")
    errors = []
    for name, amount in (("price", price), ("stopPrice", stop_price), ("trailingOffset", trailing_offset)):
        if amount is not None:
            errors += price_errors(name, amount, market)
    if quantity is not None:
        errors += _quantity_errors("quantity", quantity, market)
    if display is not None:
        errors += _display_errors(display, quantity, market)
    if quote_quantity is not None:
        errors += _quote_quantity_errors(quote_quantity, market)
    worth = stop_price if price is None else price
    if not errors and worth is not None and quantity is not None:
        errors += notional_errors(worth * quantity, market, "quantity")
    return errors


def price_errors(field: str, price: Decimal, market: Market) -> list[InvalidField]:
    if price % market.tick_size:
        tick = plain(market.tick_size)
        message = f"{field} {plain(price)} is not a multiple of {tick}"
        return [InvalidField(field, "PRICE_OFF_TICK", message, tickSize=tick)]
    if price > MAX_AMOUNT:
        message = f"{field} {plain(price)} is above {MAX_AMOUNT}"
        return [InvalidField(field, "PRICE_TOO_LARGE", message, maxPrice=str(MAX_AMOUNT))]
    return []


def _quantity_errors(field: str, quantity: Decimal, market: Market) -> list[InvalidField]:
    shown = plain(quantity)
    if quantity % market.lot_size:
        lot = plain(market.lot_size)
        message = f"{field} {shown} is not a multiple of {lot}"
        return [InvalidField(field, "QUANTITY_OFF_LOT", message, lotSize=lot)]
    if quantity < market.min_quantity:
        least = plain(market.min_quantity)
        message = f"{field} {shown} is below {least}"
        return [InvalidField(field, "QUANTITY_TOO_SMALL", message, minQuantity=least)]
    if quantity > market.max_quantity:
        most = plain(market.max_quantity)
        message = f"{field} {shown} is above {most}"
        return [InvalidField(field, "QUANTITY_TOO_LARGE", message, maxQuantity=most)]
    return []


def _display_errors(display: Decimal, quantity: Decimal | None, market: Market) -> list[InvalidField]:
    """Check what an iceberg shows: as a quantity, and beside the whole, which may make so many trades and no more."""
    field, shown = "displayQuantity", plain(display)
    errors = _quantity_errors(field, display, market)
    if errors or quantity is None:
        return errors
    if display >= quantity:
        message = f"{field} {shown} is not below quantity {plain(quantity)}"
        return [InvalidField(field, "DISPLAY_QUANTITY_TOO_LARGE", message, quantity=plain(quantity))]
    if quantity > MOST_TIPS * display:
        lots = (quantity / (MOST_TIPS * market.lot_size)).to_integral_value(ROUND_CEILING)
        least = plain(lots * market.lot_size)
        message = f"{field} {shown} is below {least}: an iceberg has at most {MOST_TIPS} tips"
        return [InvalidField(field, "DISPLAY_QUANTITY_TOO_SMALL", message, minDisplayQuantity=least)]
    return []


def _quote_quantity_errors(quote_quantity: Decimal, market: Market) -> list[InvalidField]:
    step = Decimal(1).scaleb(-market.quote.scale)
    if quote_quantity % step:
        message = f"quoteQuantity {plain(quote_quantity)} is not a multiple of {plain(step)}"
        return [InvalidField("quoteQuantity", "QUOTE_QUANTITY_OFF_SCALE", message, step=plain(step))]
    return notional_errors(quote_quantity, market, "quoteQuantity")


def notional_errors(notional: Decimal, market: Market, field: str) -> list[InvalidField]:
    if notional < market.min_notional:
        least = plain(market.min_notional)
        message = f"the order's value {plain(notional)} is below {least}"
        return [InvalidField(field, "NOTIONAL_TOO_SMALL", message, minNotional=least)]
    if notional > market.max_notional:
        most = plain(market.max_notional)
        message = f"the order's value {plain(notional)} is above {most}"
        return [InvalidField(field, "NOTIONAL_TOO_LARGE", message, maxNotional=most)]
    return []


def reference_errors(values: Mapping[str, Any], side: str, market: Market, reference: Reference) -> list[InvalidField]:
    """Check what depends on the reference price, of an order that keeps all other rules of the market."""
    price, quantity = values.get("price"), values.get("quantity")
    if values.get("stop_price") is not None:
        return []
    if price is not None:
        near = None if market.price_band is None else reference(market.symbol)
        return [] if near is None else _band_errors(price, side, market, near)
    if quantity is None or not (market.min_notional or market.max_notional < MAX_AMOUNT):
        return []
    near = reference(market.symbol)
    return [] if near is None else notional_errors(near * quantity, market, "quantity")


def _band_errors(price: Decimal, side: str, market: Market, reference: Decimal) -> list[InvalidField]:
    """Check that the price is not further from the reference price than the band, on the side that takes."""
    is_buy = side == Side.BUY
    furthest = to_decimal(furthest_price(Side(side), int(reference.scaleb(8) * 2), to_units(market.price_band)))
    if price <= furthest if is_buy else price >= furthest:
        return []
    band, limit, near = plain(market.price_band), plain(furthest), plain(reference.normalize())
    message = f"price {plain(price)} is {'above' if is_buy else 'below'} {limit}: further than {band} from {near}"
    more = {"maxPrice" if is_buy else "minPrice": limit}
    return [InvalidField("price", "PRICE_OUT_OF_BAND", message, referencePrice=near, priceBand=band, **more)]
