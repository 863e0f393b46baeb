"""Tickers as streams send them: what REST shows of a day, with the last trade and what rests at the best prices."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from binance_api.symbols import binance_name
from marketdata import answers
from marketdata.depth_cache import find_depth
from marketdata.tape import last_trades
from marketdata.tickers import find_ticker
from markets.models import Trade


class Ticker(NamedTuple):
    """The last 24 hours of a market, and what its streams show beside."""

    name: str
    day: answers.Ticker
    last: Trade | None
    depth: answers.OrderBook

    @property
    def base(self) -> str | None:
        """The price against which the change is."""
        last, change = self.day["lastPrice"], self.day["priceChange"]
        return None if last is None or change is None else str(Decimal(last) - Decimal(change))

    @property
    def average(self) -> Decimal | None:
        volume = Decimal(self.day["volume"])
        return Decimal(self.day["quoteVolume"]) / volume if volume else None


def read_ticker(symbol: str) -> Ticker:
    return with_more([find_ticker(symbol)])[0]


def with_more(days: Sequence[answers.Ticker]) -> list[Ticker]:
    """Two queries for all, and the best levels of each."""
    last = last_trades(day["symbol"] for day in days)
    return [
        Ticker(binance_name(symbol), day, last.get(symbol), find_depth(symbol, 1))
        for day in days
        for symbol in (day["symbol"],)
    ]
