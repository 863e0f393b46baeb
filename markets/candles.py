"""Candles: the tape summed up by interval, and the last 24 hours of it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from exchange.bulk import update_rows
from markets.models import Candle, Interval, Market, Trade

_CHANGING = ("high", "low", "close", "volume", "quote_volume", "trades")


def record(market: Market, trades: Iterable[Trade], now: datetime) -> None:
    """Add a batch's trades, in order, to the candles that `now` falls in, inside the caller's transaction.

    Only the worker that holds the book's row calls this, so reading and writing them cannot race.
    """
    batch = list(trades)
    if not batch:
        return
    opens = {interval: opens_at(now, interval) for interval in Interval}
    known = Candle.objects.filter(market=market, interval__in=opens, opens_at__in=set(opens.values()))
    open_now = {
        Interval(candle.interval): candle for candle in known if candle.opens_at == opens[Interval(candle.interval)]
    }
    for candle in open_now.values():
        _extend(candle, batch)
    new = [_begin(market, interval, opens[interval], batch) for interval in opens.keys() - open_now.keys()]
    rows = [(candle.id, *(getattr(candle, name) for name in _CHANGING)) for candle in open_now.values()]
    update_rows(Candle, key="id", guards=(), fields=_CHANGING, rows=rows)
    Candle.objects.bulk_create(new)


def opens_at(instant: datetime, interval: int) -> datetime:
    """When the interval that the instant falls in began; days begin at midnight UTC."""
    seconds = int(instant.timestamp())
    return datetime.fromtimestamp(seconds - seconds % interval, UTC)


def read(market: Market, interval: Interval, first: datetime, last: datetime) -> list[Candle]:
    """The candles that open from `first` to `last`, both included, with a flat one where nothing was traded.

    Before the market's first trade there is no price, and no candle.
    """
    rows = Candle.objects.filter(market=market, interval=interval)
    earlier = rows.filter(opens_at__lt=first).order_by("-opens_at").first()
    found = {candle.opens_at: candle for candle in rows.filter(opens_at__gte=first, opens_at__lte=last)}
    return _without_gaps(market, interval, found, earlier, (first, last))


def last_day(market: Market, now: datetime) -> list[Candle]:
    """The minutes of the last 24 hours in which something was traded, oldest first."""
    since = opens_at(now - timedelta(days=1), Interval.MINUTE) + timedelta(seconds=Interval.MINUTE)
    return list(
        Candle.objects.filter(market=market, interval=Interval.MINUTE, opens_at__gte=since).order_by("opens_at")
    )


def _begin(market: Market, interval: Interval, opening: datetime, batch: list[Trade]) -> Candle:
    price = batch[0].price
    candle = _flat(market, interval, opening, price)
    _extend(candle, batch)
    return candle


def _extend(candle: Candle, batch: list[Trade]) -> None:
    prices = [trade.price for trade in batch]
    candle.high = max(candle.high, *prices)
    candle.low = min(candle.low, *prices)
    candle.close = prices[-1]
    candle.volume += sum(trade.quantity for trade in batch)
    candle.quote_volume += sum(trade.price * trade.quantity for trade in batch)
    candle.trades += len(batch)


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
