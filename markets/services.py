"""Markets: finding them, opening them, changing them.

A trading status is a command in the market's own sequence, so that no trade comes after a halt. `Market.status`, which
intake reads, changes at once; the engine reads the command behind the orders that came before it.
"""

import threading
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from cachetools import TTLCache
from django.db import IntegrityError, transaction

from base.web.errors import AssetNotFound, InvalidField, MarketNotFound, SymbolTaken, refuse
from base.web.forms import camel, printable
from commands.queue import submit_trading_status
from core.types import MarketStatus
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


@transaction.atomic
def create_market(*, base: str, quote: str, **fields: Any) -> Market:
    """Open a market, trading or not, and make its assets (scale 8) if they are missing.

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
    if market.status != MarketStatus.TRADING:
        submit_trading_status(market.symbol, market.status)
    return market


@transaction.atomic
def change_market(market: Market, **fields: Any) -> Market:
    """Change the limits or the trading status of a market that is the caller's own.

    The market's row is written first: of two operators at the same moment, the commands come in the order in which
    the row was changed. Raises InvalidField or ValidationFailed.
    """
    for name, value in fields.items():
        setattr(market, name, value)
    _refuse_broken(market)
    market.save(update_fields=list(fields))
    _forget_now_and_when_committed()
    if "status" in fields:
        submit_trading_status(market.symbol, fields["status"])
    return market


def set_trading_status(symbol: str, status: str) -> None:
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


def known_market(symbol: str) -> Market:
    """As it was within the last second, not to be changed. Raises MarketNotFound."""
    return _found(symbol, find_market(symbol))


def _found(symbol: str, market: Market | None) -> Market:
    if market is None:
        raise MarketNotFound(f"there is no market {printable(symbol)}")
    return market
