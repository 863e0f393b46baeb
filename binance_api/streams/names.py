"""Streams by the names that Binance's clients know: `btcusd@trade`, `btcusd@depth20@100ms`, `!ticker@arr`."""

import re
from typing import NamedTuple

from binance_api.errors import Refused
from binance_api.symbols import market_named
from marketdata.candles import SPANS

TRADE, AGGREGATE, DEPTH = "trade", "aggTrade", "depth"
TICKER, MINI_TICKER, BOOK_TICKER = "ticker", "miniTicker", "bookTicker"
KLINE = "kline_"
# How many of the best levels a stream of them may have.
PARTIAL = {"depth5": 5, "depth10": 10, "depth20": 20}
# Of one market.
KLINES = [KLINE + name for name in SPANS]
KINDS = frozenset([TRADE, AGGREGATE, DEPTH, TICKER, MINI_TICKER, BOOK_TICKER, *PARTIAL, *KLINES])
# Of all markets.
ALL_TICKERS, ALL_MINI_TICKERS = "!ticker@arr", "!miniTicker@arr"
LONGEST = 64
# At the end of a name, how often the client wants it: this exchange sends at the pace of its markets.
_PACE = re.compile(r"@(100|1000|3000)ms")


# Binance's code of a listen key that does not exist.
NO_LISTEN_KEY = -1125


class Stream(NamedTuple):
    """A stream, and how the client wrote it. `symbol` is empty of one for all markets."""

    name: str
    symbol: str
    kind: str


def read_name(name: str) -> Stream:
    """Raises Refused: for an unknown stream, or an unknown market."""
    if len(name) > LONGEST or not name.isascii():
        raise _unknown()
    plain = _PACE.sub("", name) if name.endswith("ms") else name
    if plain in (ALL_TICKERS, ALL_MINI_TICKERS):
        return Stream(name, "", plain)
    symbol, _, kind = plain.partition("@")
    if kind not in KINDS:
        raise _unknown()
    return Stream(name, market_named(symbol.upper()).symbol, kind)


def _unknown() -> Refused:
    return Refused(2, "Invalid request: invalid stream")
