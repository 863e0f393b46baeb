"""The order book and the ticker over REST."""

from datetime import datetime, timedelta

from django.utils import timezone
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer
from base.web.errors import InvalidField, timestamp
from base.web.openapi.operations import Call
from base.web.queries import INSTANT, Query, limit, parameters
from core.money import plain
from marketdata import answers, candles
from marketdata.depth_cache import find_depth
from marketdata.tape import read_ticker, represent_trade
from markets.models import Candle, Interval, Market, Trade
from markets.services import known_market

TAG = "markets"
_MOMENT = "ISO 8601, or milliseconds since 1970."
_CANDLES = (
    Query(
        "interval",
        {"type": "string", "enum": Interval.labels, "default": Interval.MINUTE.label},
        "How long a candle lasts.",
        ("INVALID_CHOICE",),
    ),
    Query("startTime", INSTANT, f"The first one opens at or before it. {_MOMENT}"),
    Query("endTime", INSTANT, f"The last one opens at or before it. {_MOMENT}"),
    limit(100),
)


class TickersView(APIView):
    permission_classes = [AllowAny]

    @Call(TAG, "listTickers", "The tickers of all markets", list[answers.Ticker])
    def get(self, request: Request) -> Response:
        now = timezone.now()
        return answer([read_ticker(market, now) for market in Market.objects.order_by("symbol")])


class TickerView(APIView):
    permission_classes = [AllowAny]

    @Call(TAG, "readTicker", "The ticker of a market", answers.Ticker)
    def get(self, request: Request, symbol: str) -> Response:
        return answer(read_ticker(known_market(symbol), timezone.now()))


class DepthView(APIView):
    permission_classes = [AllowAny]

    @Call(TAG, "readOrderBook", "The order book", answers.OrderBook, query=(limit(20),))
    def get(self, request: Request, symbol: str) -> Response:
        return answer(find_depth(known_market(symbol).symbol, parameters(request)["limit"]))


class TradesView(APIView):
    permission_classes = [AllowAny]

    @Call(TAG, "readTrades", "The tape, newest first", list[answers.Trade], query=(limit(50),))
    def get(self, request: Request, symbol: str) -> Response:
        tape = Trade.objects.filter(market=known_market(symbol)).order_by("-sequence")[: parameters(request)["limit"]]
        return answer([represent_trade(trade) for trade in tape])


class KlinesView(APIView):
    permission_classes = [AllowAny]

    @Call(
        *(TAG, "readCandles", "Candles, oldest first", list[answers.Candle]),
        text="Intervals without a trade included, none before the market's first trade.",
        query=_CANDLES,
    )
    def get(self, request: Request, symbol: str) -> Response:
        market, asked = known_market(symbol), parameters(request)
        interval = _interval(asked["interval"])
        first, last = _window(asked["start_time"], asked["end_time"], interval, asked["limit"])
        return answer([represent_candle(candle) for candle in candles.read(market, interval, first, last)])


def _interval(name: str | None) -> Interval:
    names = {choice.label: choice for choice in Interval}
    if name is None:
        return Interval.MINUTE
    if name not in names:
        raise InvalidField("interval", "INVALID_CHOICE", f"interval must be one of {', '.join(names)}")
    return names[name]


def _window(start: datetime | None, end: datetime | None, interval: Interval, limit: int) -> tuple[datetime, datetime]:
    """The first and the last opening: at most `limit` of them, from the start if it is given, else up to the end."""
    span = timedelta(seconds=interval * (limit - 1))
    last = candles.opens_at(timezone.now() if end is None else end, interval)
    if start is None:
        return last - span, last
    first = candles.opens_at(start, interval)
    return first, min(last, first + span)


def represent_candle(candle: Candle) -> answers.Candle:
    return {
        "openTime": timestamp(candle.opens_at),
        "open": plain(candle.open),
        "high": plain(candle.high),
        "low": plain(candle.low),
        "close": plain(candle.close),
        "volume": plain(candle.volume),
        "quoteVolume": plain(candle.quote_volume),
        "trades": candle.trades,
    }
