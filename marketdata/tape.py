"""The tape: trades as clients see them, and the last trade of each market."""

from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from django.db.models import OuterRef, Subquery

from base.web.errors import timestamp
from core.money import plain, plain_or_none, plain_units, to_units
from marketdata import answers
from marketdata.candles import last_day
from marketdata.depth import read_best
from markets.models import Market, Trade


def last_trades(symbols: Iterable[str]) -> dict[str, Trade]:
    """The last trade of each market, by two queries, which read one entry of an index for each market."""
    newest = Trade.objects.filter(market_id=OuterRef("pk")).order_by("-sequence").values("pk")[:1]
    markets = Market.objects.filter(pk__in=list(symbols))
    ids = [trade_id for trade_id in markets.values_list(Subquery(newest), flat=True) if trade_id is not None]
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
