"""Market data: the book, trades and candles, as Binance's clients read them."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from base.storage.time_search import made_between
from base.web.keys.scopes import PUBLIC
from base.web.lists import by_key
from binance_api.calls import BinanceView, Endpoint, weigh_pages
from binance_api.errors import Refused
from binance_api.history import after, in_pages
from binance_api.parameters import END, START, SYMBOL, Parameter, Values, not_together, number, size, text
from binance_api.representation import aggregate_trade, amount, milliseconds, public_trade
from marketdata import candles
from marketdata.answers import Trade as ShownTrade
from marketdata.depth_cache import MOST_LEVELS, find_depth
from marketdata.shared_answers import find_candles, find_trades
from marketdata.tape import represent_trade
from markets.models import Interval, Trade

MOST_TRADES = MOST_CANDLES = 1_000
# Over how many minutes the average price is.
AVERAGED_MINUTES = 5
# Binance's weights of a depth, by how many levels are asked for.
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1_000, 50))
_DEEPEST_WEIGHT = 250
_FROM_ID = Parameter("fromId", number)
_UTC = text(r"^(0|00:00|\+00:00|-00:00)$")


class PingView(BinanceView):
    @Endpoint(PUBLIC, 1)
    def get(self, request: Request, asked: Values) -> Response:
        return Response({})


class TimeView(BinanceView):
    @Endpoint(PUBLIC, 1)
    def get(self, request: Request, asked: Values) -> Response:
        return Response({"serverTime": milliseconds(timezone.now())})


def _depth_weight(asked: Values) -> int:
    return next((weight for levels, weight in _DEPTH_WEIGHTS if asked["limit"] <= levels), _DEEPEST_WEIGHT)


class DepthView(BinanceView):
    """Both sides, with the number of the market's last event: the differences of a stream go on from there."""

    @Endpoint(PUBLIC, _depth_weight, (SYMBOL, size(5_000, default=100)))
    def get(self, request: Request, asked: Values) -> Response:
        limit = min(asked["limit"], MOST_LEVELS)
        weigh_pages(request, limit)
        depth = find_depth(asked["symbol"].symbol, limit)
        sides = {
            name: [[amount(level["price"]), amount(level["quantity"])] for level in levels]
            for name, levels in (("bids", depth["bids"]), ("asks", depth["asks"]))
        }
        return Response({"lastUpdateId": depth["sequence"], **sides})


class TradesView(BinanceView):
    @Endpoint(PUBLIC, 25, (SYMBOL, size(MOST_TRADES, default=500)))
    def get(self, request: Request, asked: Values) -> Response:
        return Response([public_trade(each) for each in _newest(request, asked)])


class HistoricalTradesView(BinanceView):
    @Endpoint(PUBLIC, 25, (SYMBOL, _FROM_ID, size(MOST_TRADES, default=500)))
    def get(self, request: Request, asked: Values) -> Response:
        if asked["fromId"] is None:
            return Response([public_trade(each) for each in _newest(request, asked)])
        return Response([public_trade(each) for each in _oldest(request, asked, asked["fromId"], None)])


class AggregateTradesView(BinanceView):
    """Each trade is an aggregate of its own."""

    @Endpoint(PUBLIC, 4, (SYMBOL, _FROM_ID, START, END, size(MOST_TRADES, default=500)))
    def get(self, request: Request, asked: Values) -> Response:
        start, end, first = asked["startTime"], asked["endTime"], asked["fromId"]
        if first is not None and (start is not None or end is not None):
            raise not_together()
        is_from_there = first is not None or start is not None
        found = _oldest(request, asked, first, start) if is_from_there else _newest(request, asked)
        return Response([aggregate_trade(each) for each in found])


class CandlesView(BinanceView):
    @Endpoint(
        PUBLIC,
        2,
        (
            SYMBOL,
            Parameter("interval", text(r"^[0-9]{1,2}[smhdwM]$"), is_required=True),
            *(START, END, Parameter("timeZone", _UTC)),
            size(MOST_CANDLES, default=500),
        ),
    )
    def get(self, request: Request, asked: Values) -> Response:
        span, now = candles.SPANS.get(asked["interval"]), timezone.now()
        if span is None:
            raise Refused(-1120, "Invalid interval.")
        weigh_pages(request, asked["limit"])
        window = candles.Window(asked["startTime"], min(asked["endTime"] or now, now), asked["limit"])
        found = find_candles(asked["symbol"].symbol, span, window)
        return Response([kline(candle, span) for candle in found])


class AveragePriceView(BinanceView):
    @Endpoint(PUBLIC, 2, (SYMBOL,))
    def get(self, request: Request, asked: Values) -> Response:
        span, now = candles.SPANS[Interval.MINUTE.label], timezone.now()
        found = find_candles(asked["symbol"].symbol, span, candles.Window(None, now, AVERAGED_MINUTES))
        volume = sum(candle.volume for candle in found)
        # Without a trade in these minutes it is the last price, which is that of a candle without trades.
        price = sum(candle.quote_volume for candle in found) / volume if volume else found[-1].close if found else None
        newest, _ = find_trades(asked["symbol"].symbol, None, None, None, 1)
        closed = milliseconds(newest[0]["createdAt"] if newest else now)
        return Response({"mins": AVERAGED_MINUTES, "price": amount(price), "closeTime": closed})


def kline(candle: candles.Figures, span: candles.Span) -> list[Any]:
    """A candle as a list. How much of it takers bought is not kept: the two fields for that are zero."""
    closes = span.opening(span.number(candle.opens_at) + 1)
    prices = [amount(price) for price in (candle.open, candle.high, candle.low, candle.close)]
    return [
        milliseconds(candle.opens_at),
        *prices,
        amount(candle.volume),
        milliseconds(closes) - 1,
        amount(candle.quote_volume),
        candle.trades,
        amount(None),
        amount(None),
        "0",
    ]


def _newest(request: Request, asked: Values) -> list[ShownTrade]:
    """The newest trades, oldest first, as many as are asked for; before an end, if one is given."""
    weigh_pages(request, asked["limit"])
    symbol, end = asked["symbol"].symbol, after(asked.get("endTime"))
    found = in_pages(asked["limit"], lambda cursor, limit: find_trades(symbol, None, end, cursor, limit))
    return found[::-1]


def _oldest(request: Request, asked: Values, first: int | None, start: datetime | None) -> list[ShownTrade]:
    """The trades from a number or a time on, oldest first, up to an end, if one is given."""
    weigh_pages(request, asked["limit"])
    trades = Trade.objects.filter(market=asked["symbol"].symbol)
    tape = made_between(trades, start, after(asked.get("endTime")), "sequence")
    if first is not None:
        tape = tape.filter(sequence__gte=first)
    return in_pages(asked["limit"], by_key(tape, represent_trade, oldest_first=True, key="sequence"))
