"""Markets: finding them, making them, changing them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction

from exchange.errors import AssetNotFound, InvalidField, SymbolTaken, refuse
from exchange.forms import camel, printable
from markets.models import Asset, Market, market_errors


def find_market(symbol: str) -> Market | None:
    """The market with its assets, or None."""
    return Market.objects.select_related("base", "quote").filter(symbol=symbol).first()


def known_asset(code: str) -> Asset:
    """Raises AssetNotFound."""
    asset = Asset.objects.filter(code=code).first()
    if asset is None:
        raise AssetNotFound(f"there is no asset {printable(code)}")
    return asset


def create_market(*, base: str, quote: str, **fields: Any) -> Market:
    """Open a market, and make its assets (scale 8) if they are missing.

    The market's worker makes its book when the first order comes. Raises SymbolTaken and InvalidField.
    """
    try:
        with transaction.atomic():
            market = Market(base=_asset(base), quote=_asset(quote), **fields)
            _set_defaults(market, fields)
            _refuse_broken(market)
            market.save(force_insert=True)
    except IntegrityError as error:
        raise SymbolTaken(f"there is a market {fields['symbol']} already", field="symbol") from error
    return market


def change_market(market: Market, **fields: Any) -> Market:
    """Change status or limits. Raises InvalidField or ValidationFailed."""
    for name, value in fields.items():
        setattr(market, name, value)
    _refuse_broken(market)
    market.save(update_fields=list(fields))
    return market


def _set_defaults(market: Market, given: Mapping[str, Any]) -> None:
    """Least and most quantity, where they were not given: whole lots both."""
    lot: Decimal = market.lot_size
    if given.get("min_quantity") is None:
        market.min_quantity = lot
    if given.get("max_quantity") is None:
        market.max_quantity = max(market.max_quantity // lot, Decimal(1)) * lot


def _asset(code: str) -> Asset:
    return Asset.objects.get_or_create(code=code)[0]


def _refuse_broken(market: Market) -> None:
    refuse([InvalidField(camel(name), "INVALID_MARKET", message) for name, message in market_errors(market).items()])
