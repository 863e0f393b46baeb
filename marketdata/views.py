"""The order book, candles and tickers over REST."""

from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer
from base.web.errors import InvalidField, timestamp
from base.web.exports import Page
from base.web.keys.scopes import PUBLIC
from base.web.lists import answer_page
from base.web.openapi.operations import Call
from base.web.queries import INSTANT, WINDOW, Query, limit, parameters
from core.money import plain
from marketdata import answers, candles
from marketdata.indicative import find_order_book
from marketdata.shared_answers import find_candles, find_trades
from marketdata.tickers import find_ticker, find_tickers
from markets.models import Interval
from markets.services import known_market

TAG = "markets"
_MOMENT = "ISO 8601, or milliseconds since 1970."
_CANDLES = (
    Query(
        "interval",
        {"type": "string", "enum": list(candles.SPANS), "default": Interval.MINUTE.label},
        "How long a candle lasts: m minutes, h hours, d days, w weeks from Mondays, M months; all in UTC.",
        ("INVALID_CHOICE",),
    ),
    Query("startTime", INSTANT, f"The first one opens at it or after it. {_MOMENT}"),
    Query("endTime", INSTANT, f"The last one opens at or before it. {_MOMENT}"),
    limit(100),
)


class TickersView(APIView):
    permission_classes = [AllowAny]

    @Call(TAG, "listTickers", "The tickers of all markets", list[answers.Ticker], scope=PUBLIC)
    def get(self, request: Request) -> Response:
        return answer(find_tickers())


class TickerView(APIView):
    permission_classes = [AllowAny]

    @Call(TAG, "readTicker", "The ticker of a market", answers.Ticker, scope=PUBLIC)
    def get(self, request: Request, symbol: str) -> Response:
        return answer(find_ticker(known_market(symbol).symbol))


class DepthView(APIView):
    permission_classes = [AllowAny]

    @Call(TAG, "readOrderBook", "The order book", answers.OrderBook, query=(limit(20),), scope=PUBLIC)
    def get(self, request: Request, symbol: str) -> Response:
        return answer(find_order_book(known_market(symbol).symbol, parameters(request)["limit"]))


class TradesView(APIView):
    permission_classes = [AllowAny]

    @Call(TAG, "readTrades", "The tape, newest first", list[answers.Trade], query=WINDOW, paged=True, scope=PUBLIC)
    def get(self, request: Request, symbol: str) -> HttpResponseBase:
        market, asked = known_market(symbol), parameters(request)

        def read(cursor: int | None, limit: int) -> Page:
            return find_trades(market.symbol, asked["start_time"], asked["end_time"], cursor, limit)

        return answer_page(request, read)


class KlinesView(APIView):
    permission_classes = [AllowAny]

    @Call(
        *(TAG, "readCandles", "Candles, oldest first", list[answers.Candle]),
        scope=PUBLIC,
        text="Intervals without a trade included, none before the market's first trade.",
        query=_CANDLES,
    )
    def get(self, request: Request, symbol: str) -> Response:
        market, asked, now = known_market(symbol), parameters(request), timezone.now()
        # The candle that is open now is the last, whatever end is given.
        window = candles.Window(asked["start_time"], min(asked["end_time"] or now, now), asked["limit"])
        found = find_candles(market.symbol, _span(asked["interval"]), window)
        return answer([represent_candle(candle) for candle in found])


def _span(name: str | None) -> candles.Span:
    known = candles.SPANS
    if name is not None and name not in known:
        raise InvalidField("interval", "INVALID_CHOICE", f"interval must be one of {', '.join(known)}")
    return known[name or Interval.MINUTE.label]


def represent_candle(candle: candles.Figures) -> answers.Candle:
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
