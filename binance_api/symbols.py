"""Markets by the names that Binance's clients know: `BTCUSD` for `BTC-USD`.

The name of a market there is its symbol without hyphens. Both are understood, in capitals. Where two markets that are
listed would have the same name (`A-BC` and `AB-C`), neither has it: each is called by its symbol, hyphens included, and
the short name is unknown, because an order must not go to another market than the one that was meant. A market whose
symbol has no hyphen is found by it, whatever others would be called.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from cachetools import TTLCache, cached

from binance_api.errors import Refused
from core.types import MarketStatus
from markets.models import Market
from markets.services import REMEMBERED_SECONDS, find_market, find_markets, listed_markets

# As Binance writes it in its refusal; a symbol of ours is longer at the most.
LEGAL = "^[A-Z0-9-_.]{1,33}$"
_LEGAL = re.compile(r"[A-Z0-9._-]{1,33}", re.ASCII)


def market_named(text: str) -> Market:
    """The market, hidden ones included. Raises Refused: -1100 for what can be no symbol, -1121 for no market."""
    return _required(find_market(_symbol_of(text)))


def markets_named(texts: Sequence[str]) -> list[Market]:
    """Many markets in the order of their names, which cost one query together. Raises Refused as `market_named`, and
    -1151 for a market that is named twice.
    """
    symbols = [_symbol_of(text) for text in texts]
    if len(set(symbols)) < len(symbols):
        raise Refused(-1151, "Symbol is present multiple times in the list.")
    found = find_markets(symbols)
    return [_required(found.get(symbol)) for symbol in symbols]


def _symbol_of(text: str) -> str:
    """By the list of markets first, because one that is not there is looked for anew each time. Raises Refused."""
    if not _LEGAL.fullmatch(text):
        raise Refused(-1100, f"Illegal characters found in parameter 'symbol'; legal range is '{LEGAL}'.")
    known = names().get(text, [])
    return known[0] if len(known) == 1 else text


def _required(market: Market | None) -> Market:
    """Raises Refused."""
    if market is None or market.status == MarketStatus.DELISTED:
        raise Refused(-1121, "Invalid symbol.")
    return market


def binance_name(symbol: str) -> str:
    """What the market of this symbol is called: short, or its symbol where others would be called the same."""
    short = symbol.replace("-", "")
    return short if set(names().get(short, [])) <= {symbol} else symbol


@cached(TTLCache[Any, Mapping[str, list[str]]](1, REMEMBERED_SECONDS), lock=threading.Lock())
def names() -> Mapping[str, list[str]]:
    """The symbols of all listed markets by their short names, as they were within the last second."""
    found: dict[str, list[str]] = {}
    for symbol in listed_markets().values_list("symbol", flat=True):
        found.setdefault(symbol.replace("-", ""), []).append(symbol)
    return found
