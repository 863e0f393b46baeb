"""What anybody may ask of a market as often as they like: tickers, candles and pages of the tape, as shared readings.

Their version is the state of the market's book, which changes with each commit of its worker.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from django.utils import timezone

from base.storage.shared_readings import SharedReadings
from base.storage.time_search import made_between
from base.web.exports import Page
from base.web.lists import by_key
from marketdata import answers, candles
from marketdata.candles import Figures, Span, Window
from marketdata.depth_cache import BookState, read_states, states_of
from marketdata.tape import read_tickers, represent_trade, ticker_window
from markets.models import Trade
from markets.services import known_market, listed_markets

TICKERS_KEPT = 10_000
# A list of candles or trades is at most 500 long, so these are some tens of megabytes at the most.
LISTS_KEPT = 64


def find_ticker(symbol: str) -> answers.Ticker:
    """The ticker of a market that exists."""
    return shared_tickers.one(symbol)


def find_tickers() -> list[answers.Ticker]:
    """Those of all markets that are listed. Only those are read in which something has happened since."""
    return shared_tickers.many(list(listed_markets().values_list("symbol", flat=True)))


def find_candles(symbol: str, span: Span, window: Window) -> list[Figures]:
    """The candles of a market that exists."""
    wanted = _Candles(symbol, span.name, window.start, span.number(window.end), window.limit)
    return shared_candles.one(wanted)


def find_trades(symbol: str, start: datetime | None, end: datetime | None, cursor: int | None, limit: int) -> Page:
    """A page of the tape of a market that exists, newest first."""
    return shared_trades.one(_Trades(symbol, start, end, cursor, limit))


A = TypeVar("A", "_Candles", "_Trades")


class _Candles(NamedTuple):
    """What is asked for. Of the end only the interval matters that it is in."""

    symbol: str
    span: str
    start: datetime | None
    last: int
    limit: int


class _Trades(NamedTuple):
    """What is asked for."""

    symbol: str
    start: datetime | None
    end: datetime | None
    cursor: int | None
    limit: int


def _ticker_versions(symbols: Sequence[str]) -> dict[str, tuple[BookState, datetime]]:
    """A ticker changes with the minute too, in which its 24 hours begin."""
    begins = ticker_window(timezone.now())
    states = states_of(symbols) if len(symbols) == 1 else read_states()
    return {symbol: (states[symbol], begins) for symbol in symbols if symbol in states}


def _list_versions(keys: Sequence[A]) -> Mapping[A, BookState]:
    states = states_of(key.symbol for key in keys)
    return {key: states[key.symbol] for key in keys if key.symbol in states}


def _read_candles(keys: Sequence[_Candles]) -> Iterator[list[Figures]]:
    for key in keys:
        span = candles.SPANS[key.span]
        window = Window(key.start, span.opening(key.last), key.limit)
        yield candles.read(known_market(key.symbol), span, window)


def _read_trades(keys: Sequence[_Trades]) -> Iterator[Page]:
    for key in keys:
        tape = made_between(Trade.objects.filter(market=key.symbol), key.start, key.end, "sequence")
        yield by_key(tape, represent_trade, key="sequence")(key.cursor, key.limit)


shared_tickers: SharedReadings[str, answers.Ticker] = SharedReadings(
    TICKERS_KEPT, _ticker_versions, lambda symbols: read_tickers(symbols, timezone.now())
)
shared_candles: SharedReadings[_Candles, list[Figures]] = SharedReadings(LISTS_KEPT, _list_versions, _read_candles)
shared_trades: SharedReadings[_Trades, Page] = SharedReadings(LISTS_KEPT, _list_versions, _read_trades)
