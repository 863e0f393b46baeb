"""The tape: trades as clients see them, the last trade of each market, and the ticker."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from django.db import connection
from django.db.models import OuterRef

from base.storage.bulk import batched, stored_instant
from base.storage.indexes import first_along
from base.web.errors import timestamp
from core.money import plain, plain_or_none, plain_units, stored_units, to_decimal, to_units
from marketdata import answers, candles
from marketdata.candles import Figures
from marketdata.depth import read_bests
from markets.models import Candle, Interval, Market, Trade


def last_trades(symbols: Iterable[str]) -> dict[str, Trade]:
    """The last trade of each market, by two queries, which read one entry of an index for each market."""
    trades = Trade.objects.filter(market_id=OuterRef("pk"))
    newest = first_along(trades, "pk", "market_id", "sequence", backwards=True)
    markets = Market.objects.filter(pk__in=list(symbols))
    ids = [trade_id for trade_id in markets.values_list(newest, flat=True) if trade_id is not None]
    return {trade.market_id: trade for trade in Trade.objects.filter(pk__in=ids)}


def represent_trade(trade: Trade) -> answers.Trade:
    amounts = (to_units(trade.price), to_units(trade.quantity))
    return represent_print(trade.market_id, trade.sequence, *amounts, trade.taker_side, trade.created_at)


def represent_print(
    symbol: str, sequence: int, price: int, quantity: int, taker_side: str, created_at: datetime
) -> answers.Trade:
    """A trade as clients see it, over REST and over the stream. `price` and `quantity` are in units."""
    return {
        "tradeId": f"{symbol}-{sequence}",
        "sequence": sequence,
        "price": plain_units(price),
        "quantity": plain_units(quantity),
        "takerSide": taker_side,
        "createdAt": timestamp(created_at),
    }


_HUNDREDTH = Decimal("0.01")
_DAY = timedelta(days=1)
# So many markets are read together. Each adds a dozen ranges to a query.
_AT_ONCE = 200


def ticker_window(now: datetime) -> datetime:
    """When the 24 hours of a ticker begin."""
    return candles.opens_at(now - _DAY, Interval.MINUTE) + timedelta(seconds=Interval.MINUTE)


def read_tickers(symbols: Iterable[str], now: datetime) -> Iterator[answers.Ticker]:
    """Prices and turnover of the markets since 24 hours ago, to the minute, in the order given.

    By a few queries that read about 20 candles of each.
    """
    opens = ticker_window(now)
    for some in batched(symbols, _AT_ONCE):
        days, prices, bests = _days(some, opens), _prices(some, opens), read_bests(some)
        yield from (_represent(symbol, days.get(symbol), prices[symbol], bests[symbol]) for symbol in some)


def _days(symbols: Sequence[str], opens: datetime) -> dict[str, Figures]:
    """What was traded since then, as one candle for each market that traded."""
    rows: dict[str, list[Figures]] = {}
    kept = Candle.objects.filter(candles.since(opens), market__in=symbols).order_by("opens_at")
    for symbol, *figures in kept.values_list("market_id", *Figures._fields):
        rows.setdefault(symbol, []).append(Figures._make(figures))
    return {symbol: candles.join(opens, parts) for symbol, parts in rows.items()}


# The prices of the last trade, of the last before the window, and of the first of all.
_Prices = tuple[Decimal | None, Decimal | None, Decimal | None]
# The newest of a market's minutes before an instant, with all values given: MySQL would read each minute since the
# instant if the market came from another table. The outer SELECT is SQLite's condition for a LIMIT in a union.
_BEFORE = (
    "SELECT * FROM (SELECT market_id, close FROM candles WHERE market_id = %s AND `interval` = %s AND opens_at < %s"
    " ORDER BY opens_at DESC LIMIT 1) AS newest"
)


def _prices(symbols: Sequence[str], opens: datetime) -> Mapping[str, _Prices]:
    """By two queries that read three entries of indexes for each market.

    The last trade is the one with the highest number, because the clock may have stepped back since the one before it.
    """
    keys = [part for symbol in symbols for part in (symbol, Interval.MINUTE.value, stored_instant(opens))]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join([_BEFORE] * len(symbols)), keys)
        before = {symbol: to_decimal(stored_units(close)) for symbol, close in cursor.fetchall()}
    trades = Trade.objects.filter(market=OuterRef("pk"))
    last, first = (
        first_along(trades, "price", "market_id", "sequence", backwards=backwards) for backwards in (True, False)
    )
    rows = Market.objects.filter(pk__in=symbols).values_list("symbol", last, first)
    return {symbol: (newest, before.get(symbol), oldest) for symbol, newest, oldest in rows}


def _represent(
    symbol: str, day: Figures | None, prices: _Prices, best: tuple[Decimal | None, Decimal | None]
) -> answers.Ticker:
    last, before, first = prices
    # Without a trade before the window the market's first one is the first in it.
    base = before if before is not None else first
    change = last - base if last is not None and base is not None else None
    return {
        "symbol": symbol,
        "lastPrice": plain_or_none(last),
        "priceChange": plain_or_none(change),
        "priceChangePercent": plain_or_none(_percent(change, base) if change is not None and base else None),
        "high": plain_or_none(day.high if day else None),
        "low": plain_or_none(day.low if day else None),
        "volume": plain(day.volume if day else Decimal(0)),
        "quoteVolume": plain(day.quote_volume if day else Decimal(0)),
        "bestBid": plain_or_none(best[0]),
        "bestAsk": plain_or_none(best[1]),
        "trades": day.trades if day else 0,
    }


def _percent(change: Decimal, of: Decimal) -> Decimal:
    return (change * 100 / of).quantize(_HUNDREDTH, ROUND_HALF_EVEN)
