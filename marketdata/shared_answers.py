"""Candles and pages of the tape, which anybody may ask for, as shared readings.

Their version is the state of the market's book, which changes with each commit of its worker.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from base.storage.shared_readings import SharedReadings
from base.storage.time_search import made_between
from base.web.exports import Page
from base.web.lists import by_key
from marketdata import candles
from marketdata.candles import Figures, Span, Window
from marketdata.depth_cache import BookState, states_of
from marketdata.tape import represent_trade
from markets.models import Trade
from markets.services import known_market

# A list of candles is at most 1,000 long, one of trades 500, so these are some tens of megabytes at the most.
LISTS_KEPT = 64


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


shared_candles: SharedReadings[_Candles, list[Figures]] = SharedReadings(LISTS_KEPT, _list_versions, _read_candles)
shared_trades: SharedReadings[_Trades, Page] = SharedReadings(LISTS_KEPT, _list_versions, _read_trades)
