"""Tickers, which anybody may ask for and streams send, as shared readings.

Their version is the state of the market's book, which changes with each commit of its worker, and the minute.
"""

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone

from base.storage.shared_readings import SharedReadings
from marketdata import answers
from marketdata.depth_cache import BookState, read_states, states_of
from marketdata.tape import read_tickers, ticker_window
from markets.services import public_markets

MOST_KEPT = 10_000


def find_ticker(symbol: str) -> answers.Ticker:
    """The ticker of a market that exists."""
    return shared_tickers.one(symbol)


def find_tickers() -> list[answers.Ticker]:
    """Those of all markets that are listed. Only those are read in which something has happened since."""
    return shared_tickers.many(list(public_markets().values_list("symbol", flat=True)))


def _ticker_versions(symbols: Sequence[str]) -> dict[str, tuple[BookState, datetime]]:
    """A ticker changes with the minute too, in which its 24 hours begin."""
    begins = ticker_window(timezone.now())
    states = states_of(symbols) if len(symbols) == 1 else read_states()
    return {symbol: (states[symbol], begins) for symbol in symbols if symbol in states}


shared_tickers: SharedReadings[str, answers.Ticker] = SharedReadings(
    MOST_KEPT, _ticker_versions, lambda symbols: read_tickers(symbols, timezone.now())
)
