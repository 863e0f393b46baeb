"""The candles of one market that are followed: read at most once a second, of each interval that somebody follows."""

import logging
import time
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from base.streams.threads import in_thread
from binance_api.streams import names
from binance_api.streams.readings import read_candles
from marketdata.candles import SPANS, Figures, Span

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
# A batch that is committed just after a candle's end belongs to it. So what follows is sent a second later.
CLOSING = timedelta(seconds=1)
# How many candles may have closed since the last reading, while the database was away.
MOST_CANDLES = 10


class Candle(NamedTuple):
    """A candle of a stream, as it is sent."""

    kind: str
    span: Span
    figures: Figures
    is_closed: bool


class CandleStreams:
    """`_open`: of each interval that is followed the number of the candle that is open."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._open: dict[str, int] = {}
        self._has_traded = False
        self._due = 0.0

    def traded(self) -> None:
        self._has_traded = True

    @property
    def due(self) -> float:
        """When they are to be read, as an instant of time.monotonic."""
        return self._due if self._open else float("inf")

    async def open_candle(self, kind: str) -> Candle | None:
        """The one that is open now, for a new follower; None before the market's first trade."""
        until = _closing_time()
        self._open.setdefault(kind, _span(kind).number(until))
        return next(iter(await self._read(kind, until, 1)), None)

    async def next(self, followed: Collection[str]) -> list[Candle]:
        """Those that changed since the last time: first what is closed now, then what is open."""
        self._due = time.monotonic() + PAUSE_SECONDS
        self._open = {kind: number for kind, number in self._open.items() if kind in followed}
        until, has_traded = _closing_time(), self._has_traded
        # Of an interval that has just begun the trades are sent when the one before it is closed.
        self._has_traded = any(_span(kind).number(datetime.now(UTC)) > _span(kind).number(until) for kind in self._open)
        found: list[Candle] = []
        for kind, open_number in list(self._open.items()):
            number = _span(kind).number(until)
            if has_traded or number > open_number:
                try:
                    found += await self._read(kind, until, min(number - open_number + 1, MOST_CANDLES))
                except Exception as error:
                    logger.warning("the candles of %s cannot be read: %r", self._symbol, error)
                    self._has_traded = True
                else:
                    self._open[kind] = number
        return found

    async def _read(self, kind: str, until: datetime, limit: int) -> list[Candle]:
        span = _span(kind)
        number = span.number(until)
        candles = await in_thread(read_candles, self._symbol, span, until, limit)
        return [Candle(kind, span, each, span.number(each.opens_at) < number) for each in candles]


def _span(kind: str) -> Span:
    return SPANS[kind.removeprefix(names.KLINE)]


def _closing_time() -> datetime:
    return datetime.now(UTC) - CLOSING
