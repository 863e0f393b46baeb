"""Candles: the trades of a market, summed up by interval."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection

from base.storage.bulk import dialect, execute, stored_instant, update_rows, write_inserts
from core import types as core
from core.money import stored_units
from markets.models import Candle, Interval, Market

_CHANGING = ("high", "low", "close", "volume", "quote_volume", "trades")


class _Summary(NamedTuple):
    """The trades of a batch, summed up as in a candle, in units."""

    open: int
    high: int
    low: int
    close: int
    volume: int
    quote_volume: int
    trades: int


def record(symbol: str, trades: Sequence[core.Trade], now: datetime) -> None:
    """Add a batch's trades, in order, to the candles of the time `now`, in the caller's transaction.

    Only the worker that locks the book's row calls this, so no other process writes these candles meanwhile.
    """
    batch = _summary(trades)
    opens = {interval.value: opens_at(now, interval) for interval in Interval}
    open_now = _open_now(symbol, opens)
    rows = []
    for candle_id, *amounts, number in open_now.values():
        high, low, volume, quote_volume = map(stored_units, amounts)
        highest, lowest = max(high, batch.high), min(low, batch.low)
        sums = (volume + batch.volume, quote_volume + batch.quote_volume, number + batch.trades)
        rows.append((candle_id, highest, lowest, batch.close, *sums))
    update_rows(Candle, key="id", guards=(), fields=_CHANGING, rows=rows)
    new = [(symbol, interval, opens[interval], *batch) for interval in opens.keys() - open_now.keys()]
    execute(write_inserts(dialect(), Candle, ("market", "interval", "opens_at", *_Summary._fields), new))


def _open_now(symbol: str, opens: Mapping[int, datetime]) -> dict[int, tuple[Any, ...]]:
    """The candles of these openings, by interval, as the driver gives them. In SQL, because each batch reads them."""
    each = " OR ".join(["(`interval` = %s AND opens_at = %s)"] * len(opens))
    keys = [part for interval, instant in opens.items() for part in (interval, stored_instant(instant))]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT `interval`, id, high, low, volume, quote_volume, trades FROM candles"  # noqa: S608
            f" WHERE market_id = %s AND ({each})",
            [symbol, *keys],
        )
        return {interval: tuple(figures) for interval, *figures in cursor.fetchall()}


def opens_at(instant: datetime, interval: int) -> datetime:
    """The opening of the interval that this instant is in. Days begin at midnight UTC."""
    seconds = int(instant.timestamp())
    return datetime.fromtimestamp(seconds - seconds % interval, UTC)


def read(market: Market, interval: Interval, first: datetime, last: datetime) -> list[Candle]:
    """The candles that open from `first` to `last`, both included. An interval without trades has a flat candle.

    Before the market's first trade there are no candles, because there is no price.
    """
    rows = Candle.objects.filter(market=market, interval=interval)
    earlier = rows.filter(opens_at__lt=first).order_by("-opens_at").first()
    found = {candle.opens_at: candle for candle in rows.filter(opens_at__gte=first, opens_at__lte=last)}
    return _without_gaps(market, interval, found, earlier, (first, last))


def last_day(market: Market, now: datetime) -> list[Candle]:
    """The one-minute candles of the last 24 hours, oldest first, without those of minutes without trades."""
    since = opens_at(now - timedelta(days=1), Interval.MINUTE) + timedelta(seconds=Interval.MINUTE)
    return list(
        Candle.objects.filter(market=market, interval=Interval.MINUTE, opens_at__gte=since).order_by("opens_at")
    )


def _summary(trades: Sequence[core.Trade]) -> _Summary:
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


def _flat(market: Market, interval: Interval, opening: datetime, price: Decimal) -> Candle:
    return Candle(
        market=market,
        interval=interval,
        opens_at=opening,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=Decimal(0),
        quote_volume=Decimal(0),
        trades=0,
    )


def _without_gaps(
    market: Market,
    interval: Interval,
    found: Mapping[datetime, Candle],
    earlier: Candle | None,
    window: tuple[datetime, datetime],
) -> list[Candle]:
    candles: list[Candle] = []
    opening, last = window
    price = earlier.close if earlier else None
    while opening <= last:
        candle = found.get(opening)
        if candle is not None:
            price = candle.close
        elif price is not None:
            candle = _flat(market, interval, opening, price)
        if candle is not None:
            candles.append(candle)
        opening += timedelta(seconds=interval)
    return candles
