"""Find, open and change markets.

A new trading status is a command in the market's own sequence, so that no trade comes after a halt. `Market.status`,
which intake reads, changes at once; the engine applies the command behind the commands that came before it.
"""

import threading
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from cachetools import LRUCache, TTLCache, cached
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from base.storage.outages import again_on_deadlock
from base.web.errors import AssetNotFound, InvalidField, MarketDelisted, MarketNotFound, SymbolTaken, refuse
from base.web.forms import printable
from base.web.values import camel
from commands.queue import submit_trading_status
from core.money import to_units
from core.types import MarketStatus
from markets import answers
from markets.counterparty import COUNTERPARTY, with_counterparty
from markets.marks import main_markets
from markets.models import Asset, Market, market_errors
from users.acts import Actor, record
from users.models import ActKind

# How long a process may use a market as it was before another process changed it.
REMEMBERED_SECONDS = 1
REMEMBERED = 10_000


@cached(TTLCache[Any, Market](REMEMBERED, REMEMBERED_SECONDS), lock=threading.Lock())
def known_market(symbol: str) -> Market:
    """The market with its assets as it was within the last second. Shared by threads: do not change it.

    An old status does no harm at intake, because the engine applies the commands of the market's own sequence.
    Raises MarketNotFound, which is not remembered.
    """
    return read_market(symbol)


def read_market(symbol: str) -> Market:
    """The market with its assets as it is now, the caller's own to change. Raises MarketNotFound."""
    market = Market.objects.select_related("base", "quote").filter(symbol=symbol).first()
    if market is None:
        raise MarketNotFound(f"there is no market {printable(symbol)}")
    return market


def active_symbols() -> list[str]:
    """The markets that may trade. Their table is the registry, because a list of its own in Redis could lack one."""
    return list(listed_markets().values_list("symbol", flat=True))


def listed_markets() -> QuerySet[Market]:
    """The markets that are not delisted, by symbol: all that workers, operators and caches have to do with."""
    return Market.objects.exclude(status=MarketStatus.DELISTED).order_by("symbol")


def public_markets() -> QuerySet[Market]:
    """The markets that public lists show, by symbol. One that is delisted or hidden is found by its name alone."""
    return listed_markets().filter(is_hidden=False)


def find_market(symbol: str) -> Market | None:
    """The market as `known_market` remembers it, or None."""
    try:
        return known_market(symbol)
    except MarketNotFound:
        return None


def find_markets(symbols: Collection[str]) -> dict[str, Market]:
    """Those of the markets that there are, with their assets, by one query, however many are asked for."""
    found = Market.objects.select_related("base", "quote").filter(symbol__in=symbols)
    return {market.symbol: market for market in found}


@cached(LRUCache[Any, str](REMEMBERED), lock=threading.Lock())
def asset_code(code: str) -> str:
    """The code, if there is such an asset. Remembered, because no asset is ever taken away. Raises AssetNotFound."""
    return str(known_asset(code).code)


def known_asset(code: str) -> Asset:
    """Raises AssetNotFound."""
    asset = Asset.objects.filter(code=code).first()
    if asset is None:
        raise AssetNotFound(f"there is no asset {printable(code)}")
    return asset


@transaction.atomic
def create_market(*, base: str, quote: str, actor: Actor | None = None, **fields: Any) -> Market:
    """Open a market, with any status, and make its assets (scale 8) if they do not exist.

    The market's worker makes the book for the first order. Raises SymbolTaken and InvalidField. `actor` is the
    operator who does it, of whom a row is kept.
    """
    fields = with_counterparty(fields)
    try:
        with transaction.atomic():
            market = Market(base=_asset(base), quote=_asset(quote), **fields)
            _set_defaults(market, fields)
            _refuse_broken(market)
            market.save(force_insert=True)
    except IntegrityError as error:
        raise SymbolTaken(f"there is a market {fields['symbol']} already", field="symbol") from error
    _forget_now_and_when_committed()
    if actor is not None:
        record(ActKind.MARKET_OPENED, None, actor, subject=market.symbol, after=answers.Market.of(market))
    if market.status != MarketStatus.TRADING:
        submit_trading_status(market.symbol, market.status)
    return market


@again_on_deadlock
@transaction.atomic
def change_market(market: Market, actor: Actor | None = None, **fields: Any) -> Market:
    """Change the limits or the trading status of the market, and return it as it is then.

    The market's row is locked first, so that of two operators at the same moment the second one's limits are checked
    together with those of the first, and their commands come in the order in which they changed the row. A change of
    status alone is checked against no limit, because a halt must never fail. Raises InvalidField, ValidationFailed, and
    MarketDelisted for any other status of a market that is delisted. `actor` is the operator who does it, of whom a row
    is kept.
    """
    # Without its assets, whose rows would be locked too.
    locked = Market.objects.select_for_update().get(pk=market.pk)
    if locked.status == MarketStatus.DELISTED != fields.get("status", MarketStatus.DELISTED):
        raise MarketDelisted(f"{locked.symbol} is delisted for good", symbol=locked.symbol)
    before = _shown(locked)
    fields = with_counterparty(fields)
    for name, value in fields.items():
        setattr(locked, name, value)
    if fields.keys() - {"status", "is_hidden", COUNTERPARTY}:
        _refuse_broken(locked)
    locked.save(update_fields=list(fields))
    _forget_now_and_when_committed()
    if actor is not None and fields:
        after, names = _shown(locked), [camel(name) for name in fields]
        changes = {"before": {name: before[name] for name in names}, "after": {name: after[name] for name in names}}
        record(ActKind.MARKET_CHANGED, None, actor, subject=locked.symbol, **changes)
    if "status" in fields:
        submit_trading_status(locked.symbol, fields["status"], _uncrossing(locked))
    return locked


def _shown(market: Market) -> dict[str, Any]:
    """A market as acts keep it: as clients see it, and whether they see it in lists."""
    return {**answers.Market.of(market), "isHidden": market.is_hidden, camel(COUNTERPARTY): market.counterparty_id}


def _uncrossing(market: Market) -> dict[str, int] | None:
    """What the engine must know to uncross the book, should an auction end with this change."""
    if market.status != MarketStatus.TRADING or market.price_band is None:
        return None
    return {"priceBand": to_units(market.price_band)}


def set_trading_status(symbol: str, status: str, *, ends_delisting: bool = False) -> None:
    """Write the status that the market has in its own sequence. The worker calls this while it locks the book's row.

    Not over DELISTED, unless the delisting was given up: the command that delists it waits behind the one that is
    applied here.
    """
    markets = Market.objects.filter(symbol=symbol)
    (markets if ends_delisting else markets.exclude(status=MarketStatus.DELISTED)).update(status=status)
    _forget_now_and_when_committed()


def _forget_now_and_when_committed() -> None:
    """Now for what this transaction reads, and then for what others have remembered until its commit."""
    for remembered in (known_market, main_markets):
        remembered.cache_clear()
        transaction.on_commit(remembered.cache_clear)


def _set_defaults(market: Market, given: Mapping[str, Any]) -> None:
    """Set the smallest and the largest quantity where they were not given, both to whole lots."""
    lot: Decimal = market.lot_size
    if given.get("min_quantity") is None:
        market.min_quantity = lot
    if given.get("max_quantity") is None:
        market.max_quantity = max(market.max_quantity // lot, Decimal(1)) * lot


def _asset(code: str) -> Asset:
    return Asset.objects.get_or_create(code=code)[0]


def _refuse_broken(market: Market) -> None:
    refuse([InvalidField(camel(name), "INVALID_MARKET", message) for name, message in market_errors(market).items()])
