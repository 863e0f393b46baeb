"""What an asset is worth: the last price of its main market.

The main market of an asset is the oldest of those whose base it is. It never changes, because new markets are younger.
An asset without one, such as the currency that all prices are in, is counted in itself.

Where a market trades an asset that has its main market elsewhere, the worker stores the asset's mark with each batch:
the price there at that moment. Nobody could find it afterwards, because the events of two markets have no common order.
"""

import threading
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from cachetools import TTLCache, cached
from django.db import connection
from django.db.models import OuterRef

from base.storage.bulk import batched, write_inserts
from base.storage.indexes import first_along
from base.storage.literals import dialect
from base.storage.statements import Statement
from core.money import stored_units, to_units
from core.types import Rules
from markets.models import Mark, Market, Trade

_AT = (
    "SELECT %s, (SELECT price FROM marks WHERE market_id = %s AND asset_id = %s AND sequence <= %s"
    " ORDER BY sequence DESC LIMIT 1)"
)
_AT_ONCE = 200

# A market that is younger than this may be missing: the first trades of a new asset have no marks then.
REMEMBERED_SECONDS = 1


@cached(TTLCache[Any, Mapping[str, str]](1, REMEMBERED_SECONDS), lock=threading.Lock())
def main_markets() -> Mapping[str, str]:
    """The symbol of each asset's main market, as it was within the last second."""
    newest_first = Market.objects.order_by("-created_at", "-symbol").values_list("base_id", "symbol")
    return dict(newest_first)


def last_prices(symbols: Iterable[str]) -> dict[str, Decimal]:
    """The price of the last trade of each market that has traded."""
    return _prices(symbols, backwards=True)


def first_prices(symbols: Iterable[str]) -> dict[str, Decimal]:
    """That of the first trade, for what has no mark because the market had not traded yet."""
    return _prices(symbols, backwards=False)


def mark_of(asset: str) -> Decimal | None:
    """The asset's price now; None without a main market, or before its first trade."""
    main = main_markets().get(asset)
    return last_prices([main]).get(main) if main else None


def write_marks(market: Rules, sequence: int) -> list[Statement]:
    """Write the marks of the market's assets for its trades from this number on, as they are now."""
    mains = main_markets()
    elsewhere = {
        asset: mains[asset] for asset in (market.base, market.quote) if mains.get(asset, market.symbol) != market.symbol
    }
    if not elsewhere:
        return []
    prices = last_prices(elsewhere.values())
    rows = [
        (market.symbol, asset, sequence, to_units(prices[main])) for asset, main in elsewhere.items() if main in prices
    ]
    return write_inserts(dialect(), Mark, ("market", "asset", "sequence", "price"), rows)


def marks_at(symbol: str, asset: str, sequences: Iterable[int]) -> dict[int, int]:
    """The asset's mark in units at each of the market's trades; without those before its first mark.

    Each is looked up by itself. A join would read all marks from the trade's to the newest.
    """
    found: dict[int, int] = {}
    with connection.cursor() as cursor:
        for chunk in batched(sequences, _AT_ONCE):
            parameters = [part for number in chunk for part in (number, symbol, asset, number)]
            cursor.execute(" UNION ALL ".join([_AT] * len(chunk)), parameters)
            found.update((number, stored_units(price)) for number, price in cursor.fetchall() if price is not None)
    return found


def _prices(symbols: Iterable[str], *, backwards: bool) -> dict[str, Decimal]:
    trades = Trade.objects.filter(market=OuterRef("pk"))
    price = first_along(trades, "price", "market_id", "sequence", backwards=backwards)
    rows = Market.objects.filter(pk__in=set(symbols)).values_list("symbol", price)
    return {symbol: price for symbol, price in rows if price is not None}
