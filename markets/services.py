"""Markets: finding them, making them, changing them."""

from typing import Any

from django.db import IntegrityError, transaction

from exchange.errors import InvalidField, SymbolTaken, refuse
from exchange.forms import camel
from markets.models import Asset, Market, market_errors


def find_market(symbol: str) -> Market | None:
    """The market with its assets, or None."""
    return Market.objects.select_related("base", "quote").filter(symbol=symbol).first()


def create_market(*, base: str, quote: str, **fields: Any) -> Market:
    """Open a market, and make its assets (scale 8) if they are missing.

    The market's worker makes its book when the first order comes. Raises SymbolTaken and InvalidField.
    """
    market = Market(base=_asset(base), quote=_asset(quote), **fields)
    if market.min_quantity is None:
        market.min_quantity = market.lot_size
    _refuse_broken(market)
    try:
        with transaction.atomic():
            market.save(force_insert=True)
    except IntegrityError as error:
        raise SymbolTaken(f"there is a market {market.symbol} already", field="symbol") from error
    return market


def change_market(market: Market, **fields: Any) -> Market:
    """Change status or limits. Raises InvalidField or ValidationFailed."""
    for name, value in fields.items():
        setattr(market, name, value)
    _refuse_broken(market)
    market.save(update_fields=list(fields))
    return market


def _asset(code: str) -> Asset:
    return Asset.objects.get_or_create(code=code)[0]


def _refuse_broken(market: Market) -> None:
    refuse([InvalidField(camel(name), "INVALID_MARKET", message) for name, message in market_errors(market).items()])
