"""Markets: finding them, making them, changing them."""

import threading
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from cachetools import TTLCache
from django.db import IntegrityError, transaction

from base.web.errors import AssetNotFound, InvalidField, SymbolTaken, refuse
from base.web.forms import camel, printable
from markets.models import Asset, Market, market_errors

# How long a process may go on seeing a market as it was, when another process changed it.
REMEMBERED_SECONDS = 1
REMEMBERED = 10_000

_markets: TTLCache[str, Market] = TTLCache(REMEMBERED, REMEMBERED_SECONDS)
_lock = threading.Lock()


def find_market(symbol: str) -> Market | None:
    """The market with its assets as it was within the last second, or None. Shared by threads: never to be changed.

    A status that is out of date is harmless at intake: the engine goes by the commands in the market's own sequence.
    """
    with _lock:
        remembered = _markets.get(symbol)
    if remembered is not None:
        return remembered
    market = read_market(symbol)
    if market is not None:
        with _lock:
            _markets[symbol] = market
    return market


def read_market(symbol: str) -> Market | None:
    """The market with its assets as it is now, the caller's own to change, or None."""
    return Market.objects.select_related("base", "quote").filter(symbol=symbol).first()


def forget_markets() -> None:
    """Read every market again when it is next asked for."""
    with _lock:
        _markets.clear()


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
    _forget_now_and_when_committed()
    return market


def change_market(market: Market, **fields: Any) -> Market:
    """Change status or limits of a market that is the caller's own. Raises InvalidField or ValidationFailed."""
    for name, value in fields.items():
        setattr(market, name, value)
    _refuse_broken(market)
    market.save(update_fields=list(fields))
    _forget_now_and_when_committed()
    return market


def set_status(symbol: str, status: str) -> None:
    """What the market has become in its own sequence: for the worker, which holds the book's row."""
    Market.objects.filter(symbol=symbol).update(status=status)
    _forget_now_and_when_committed()


def _forget_now_and_when_committed() -> None:
    """Once for this transaction's own eyes, once for what others read and remembered until its commit."""
    forget_markets()
    transaction.on_commit(forget_markets)


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
