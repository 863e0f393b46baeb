"""Candles: the trades of a market, summed up by interval. The worker keeps six intervals; longer ones are joined."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce
from itertools import groupby, pairwise
from operator import or_
from typing import NamedTuple

from django.db.models import Q

from base.storage.bulk import Additions, write_additions, write_inserts
from base.storage.literals import Dialect, dialect
from base.storage.statements import Statement, execute
from core import outcome
from markets.models import Candle, Interval, Market

# The most kept candles that one call reads.
MOST_ROWS = 5_000
_KEY = ("market", "interval", "opens_at")
_ADDITIONS = Additions(
    *(Candle, "candle_market_interval_opens", _KEY),
    added=("volume", "quote_volume", "trades"),
    assigned=("close",),
    highest=("high",),
    lowest=("low",),
)


class _Summary(NamedTuple):
    """The trades of a batch, summed up as in a candle, in units."""

    open: int
    high: int
    low: int
    close: int
    volume: int
    quote_volume: int
    trades: int


def write_candles(symbol: str, trades: Sequence[outcome.Trade], now: datetime, to: Dialect) -> list[Statement]:
    """Add a batch's trades, in order, to the candles of the time `now`. Those that have just opened are missing.

    Only the worker that locks the book's row executes this, so no other process writes these candles meanwhile.
    """
    if not trades:
        return []
    batch = _summary(trades)
    changes = (batch.volume, batch.quote_volume, batch.trades, batch.close, batch.high, batch.low)
    rows = [(symbol, interval.value, opens_at(now, interval), *changes) for interval in Interval]
    return write_additions(to, _ADDITIONS, rows)


def make_missing(symbol: str, trades: Sequence[outcome.Trade], now: datetime, found: int) -> None:
    """Make those candles of the time `now` that did not exist, with the batch's trades. `found`: how many did."""
    if not trades or found == len(Interval):
        return
    opens = {interval.value: opens_at(now, interval) for interval in Interval}
    each = [Q(interval=interval, opens_at=instant) for interval, instant in opens.items()]
    stored = Candle.objects.filter(reduce(or_, each), market_id=symbol).values_list("interval", flat=True)
    batch = _summary(trades)
    rows = [(symbol, interval, opens[interval], *batch) for interval in sorted(opens.keys() - set(stored))]
    execute(write_inserts(dialect(), Candle, (*_KEY, *_Summary._fields), rows))


def _summary(trades: Sequence[outcome.Trade]) -> _Summary:
    prices = [trade.price for trade in trades]
    return _Summary(
        open=prices[0],
        high=max(prices),
        low=min(prices),
        close=prices[-1],
        volume=sum(trade.quantity for trade in trades),
        quote_volume=sum(trade.notional for trade in trades),
        trades=len(trades),
    )


def opens_at(instant: datetime, interval: int) -> datetime:
    """The opening of the interval that this instant is in. Days begin at midnight UTC."""
    seconds = int(instant.timestamp())
    return datetime.fromtimestamp(seconds - seconds % interval, UTC)


@dataclass(frozen=True)
class Span:
    """An interval that clients ask for, made of kept candles, at most `parts` of them. Its intervals are numbered.

    `offset`: when one of them opens, in seconds since 1970.
    """

    name: str
    kept: Interval
    seconds: int
    offset: int = 0

    @property
    def parts(self) -> int:
        return self.seconds // self.kept

    def number(self, instant: datetime) -> int:
        """The number of the interval that the instant is in."""
        return (int(instant.timestamp()) - self.offset) // self.seconds

    def opening(self, number: int) -> datetime:
        return datetime.fromtimestamp(self.offset + number * self.seconds, UTC)


class CalendarMonth(Span):
    """Months of the calendar, in UTC. `seconds` are those of the longest."""

    def number(self, instant: datetime) -> int:
        day = instant.astimezone(UTC)
        return day.year * 12 + day.month - 1

    def opening(self, number: int) -> datetime:
        return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


# 1970 began with a Thursday; weeks begin with Mondays.
_MONDAY = 4 * Interval.DAY
_JOINED = (
    Span("3m", Interval.MINUTE, 180),
    Span("30m", Interval.QUARTER, 1_800),
    Span("2h", Interval.HOUR, 7_200),
    Span("6h", Interval.HOUR, 21_600),
    Span("12h", Interval.FOUR_HOURS, 43_200),
    Span("1w", Interval.DAY, 7 * Interval.DAY, _MONDAY),
    CalendarMonth("1M", Interval.DAY, 31 * Interval.DAY),
)
_KEPT = tuple(Span(interval.label, interval, interval.value) for interval in Interval)
SPANS = {span.name: span for span in sorted((*_KEPT, *_JOINED), key=lambda span: span.seconds)}


class Figures(NamedTuple):
    """A candle as it is shown: one that is kept, or several joined."""

    opens_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int


class Window(NamedTuple):
    """The candles that open from `start` to `end`: the first `limit` of them, or without a start the last."""

    start: datetime | None
    end: datetime
    limit: int


def read(market: Market, span: Span, window: Window) -> list[Figures]:
    """The candles in the window, oldest first. An interval without trades has a flat candle.

    Before the market's first trade there are no candles, because there is no price. Of months at most 161 are
    answered, because of the days that are read for them.
    """
    kept = Candle.objects.filter(market=market, interval=span.kept)
    oldest = kept.order_by("opens_at").values_list("opens_at", flat=True).first()
    if oldest is None:
        return []
    limit, last = min(window.limit, MOST_ROWS // span.parts), span.number(window.end)
    if window.start is None:
        first = max(last - limit + 1, span.number(oldest))
    else:
        first = max(_next_number(span, window.start), span.number(oldest))
        last = min(last, first + limit - 1)
    if last < first:
        return []
    since, until = span.opening(first), span.opening(last + 1)
    earlier = kept.filter(opens_at__lt=since).order_by("-opens_at").values_list("close", flat=True).first()
    rows = kept.filter(opens_at__gte=since, opens_at__lt=until).order_by("opens_at").values_list(*Figures._fields)
    parts = groupby(map(Figures._make, rows), key=lambda part: span.number(part.opens_at))
    found = {number: join(span.opening(number), of_one) for number, of_one in parts}
    return list(_without_gaps(found, earlier, [(number, span.opening(number)) for number in range(first, last + 1)]))


def join(opens: datetime, parts: Iterable[Figures]) -> Figures:
    """One candle of several, in the order of time; at least one."""
    every = list(parts)
    return Figures(
        opens_at=opens,
        open=every[0].open,
        high=max(part.high for part in every),
        low=min(part.low for part in every),
        close=every[-1].close,
        volume=sum((part.volume for part in every), Decimal(0)),
        quote_volume=sum((part.quote_volume for part in every), Decimal(0)),
        trades=sum(part.trades for part in every),
    )


def since(instant: datetime) -> Q:
    """The kept candles that cover the time since an instant that is a full minute: a few of each interval, not 1,440.

    Minutes until the next five minutes begin, and so on up to days; the last ones hold what is traded now.
    """
    pieces, at = Q(), instant
    for finer, coarser in pairwise(Interval):
        end = opens_at(at + timedelta(seconds=coarser - 1), coarser)
        pieces |= Q(interval=finer, opens_at__gte=at, opens_at__lt=end)
        at = end
    return pieces | Q(interval=Interval.DAY, opens_at__gte=at)


def _next_number(span: Span, instant: datetime) -> int:
    """The number of the first interval that opens at the instant or after it."""
    number = span.number(instant)
    return number if span.opening(number) >= instant else number + 1


def _without_gaps(
    found: Mapping[int, Figures], price: Decimal | None, openings: Iterable[tuple[int, datetime]]
) -> Iterator[Figures]:
    """The candles of these openings, flat where nothing was traded. `price`: the close before the first, if any."""
    for number, opening in openings:
        candle = found.get(number)
        if candle is None and price is not None:
            candle = Figures(opening, price, price, price, price, Decimal(0), Decimal(0), 0)
        if candle is not None:
            price = candle.close
            yield candle
