"""The ticker: the last 24 hours of a market in a few figures."""

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from core.money import plain, plain_or_none
from marketdata import answers
from marketdata.candles import last_day
from marketdata.depth import read_best
from markets.models import Market, Trade

_HUNDREDTH = Decimal("0.01")


def read_ticker(market: Market, now: datetime) -> answers.Ticker:
    """Prices and turnover since 24 hours ago, to the minute; nulls where nothing was traded or nothing rests."""
    minutes = last_day(market, now)
    last = Trade.objects.filter(market=market).order_by("-sequence").values_list("price", flat=True).first()
    change = minutes[-1].close - minutes[0].open if minutes else None
    best_bid, best_ask = read_best(market.symbol)
    return {
        "symbol": market.symbol,
        "lastPrice": plain_or_none(last),
        "priceChange": plain_or_none(change),
        "priceChangePercent": plain_or_none(_percent(change, minutes[0].open) if minutes else None),
        "high": plain_or_none(max(minute.high for minute in minutes) if minutes else None),
        "low": plain_or_none(min(minute.low for minute in minutes) if minutes else None),
        "volume": plain(sum((minute.volume for minute in minutes), Decimal(0))),
        "quoteVolume": plain(sum((minute.quote_volume for minute in minutes), Decimal(0))),
        "bestBid": plain_or_none(best_bid),
        "bestAsk": plain_or_none(best_ask),
        "trades": sum(minute.trades for minute in minutes),
    }


def _percent(change: Decimal | None, of: Decimal) -> Decimal | None:
    return None if change is None else (change * 100 / of).quantize(_HUNDREDTH, ROUND_HALF_EVEN)
