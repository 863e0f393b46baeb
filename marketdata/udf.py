"""Symbols and candles as TradingView's charts ask for them: the Universal Data Feed.

https://www.tradingview.com/charting-library-docs/latest/connecting_data/UDF/ describes it. Numbers are JSON numbers and
times are seconds since 1970, because the format says so.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Q
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from base.web.dialects import Dialect
from base.web.errors import ExchangeError, InvalidField
from base.web.queries import MOST, Query
from marketdata import candles
from marketdata.formats import MOST_SECONDS, WORDS, FormatView, named_market, required, whole_number
from marketdata.shared_answers import find_candles
from markets.models import Market
from markets.services import known_market, public_markets

EXCHANGE, KIND = "Clearbell", "crypto"
# The format's name of each of our intervals.
_MINUTES = {"1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m"}
_HOURS = {"60": "1h", "120": "2h", "240": "4h", "360": "6h", "720": "12h"}
RESOLUTIONS = {**_MINUTES, **_HOURS, "1D": "1d", "1W": "1w", "1M": "1M"}
# Days, weeks and months may come without their one.
_SHORT = {"D": "1D", "W": "1W", "M": "1M"}
_INTRADAY = [name for name in RESOLUTIONS if name.isdigit()]
_MOST_FOUND, _USUALLY_FOUND = 500, 30


class ConfigView(FormatView):
    def get(self, request: Request) -> Response:
        every = {"value": "", "name": "All", "desc": ""}
        return Response(
            {
                "supports_search": True,
                "supports_group_request": False,
                "supports_marks": False,
                "supports_timescale_marks": False,
                "supports_time": True,
                "exchanges": [every, {"value": EXCHANGE, "name": EXCHANGE, "desc": EXCHANGE}],
                "symbols_types": [{"value": "", "name": "All"}, {"value": KIND, "name": "Crypto"}],
                "supported_resolutions": list(RESOLUTIONS),
            }
        )


class SymbolView(FormatView):
    queries = (Query("symbol", WORDS, "A market, by itself or behind the exchange's name and a colon."),)

    def get(self, request: Request) -> Response:
        market = _market(self.asked(request))
        step = _price_step(market.tick_size)
        return Response(
            {
                **_named(market),
                "name": market.symbol,
                "listed_exchange": EXCHANGE,
                "session": "24x7",
                "timezone": "Etc/UTC",
                "format": "price",
                "minmov": step.minmov,
                "minmove2": 0,
                "pricescale": step.pricescale,
                "volume_precision": _digits(market.lot_size),
                "currency_code": market.quote_id,
                "has_intraday": True,
                "intraday_multipliers": _INTRADAY,
                "has_daily": True,
                "daily_multipliers": ["1"],
                "has_weekly_and_monthly": True,
                "weekly_multipliers": ["1"],
                "monthly_multipliers": ["1"],
                "supported_resolutions": list(RESOLUTIONS),
                "data_status": "streaming",
            }
        )


class SearchView(FormatView):
    queries = (
        Query("query", WORDS, "A part of the symbol or of an asset's code."),
        Query("type", WORDS, "Of one kind alone."),
        Query("exchange", WORDS, "Of one exchange alone."),
        Query("limit", whole_number(_MOST_FOUND), "At most so many.", default=_USUALLY_FOUND),
    )

    def get(self, request: Request) -> Response:
        asked = self.asked(request)
        if asked["type"] not in (None, "", KIND) or asked["exchange"] not in (None, "", EXCHANGE):
            return Response([])
        part = (asked["query"] or "").upper()
        like = Q(symbol__contains=part) | Q(base__code__contains=part) | Q(quote__code__contains=part)
        found = public_markets().filter(like)[: asked["limit"]]
        return Response([{**_named(market), "symbol": market.symbol, "full_name": _full(market)} for market in found])


class HistoryView(FormatView):
    queries = (
        Query("symbol", WORDS, "A market."),
        # A chart of months counts back beyond 1970.
        Query("from", whole_number(MOST_SECONDS, reads_negative=True), "The first candle opens at it or after it."),
        Query("to", whole_number(MOST_SECONDS), "The last candle opens before it."),
        Query("resolution", WORDS, "How long a candle lasts."),
        Query("countback", whole_number(1_000_000), "So many candles before `to`, whatever `from` is."),
    )

    def get(self, request: Request) -> Response:
        asked = self.asked(request)
        market, span = _market(asked), _span(required(asked, "resolution"))
        found = _candles_before(market, span, asked)
        since = None if asked["countback"] else datetime.fromtimestamp(required(asked, "from"), UTC)
        shown = [candle for candle in found if since is None or candle.opens_at >= since]
        if not shown:
            # The newest candle that there is before this time; none before the market's first trade.
            newest = {"nextTime": _seconds(found[-1])} if found else {}
            return Response({"s": "no_data", **newest})
        columns = {
            "t": [_seconds(candle) for candle in shown],
            "o": [float(candle.open) for candle in shown],
            "h": [float(candle.high) for candle in shown],
            "l": [float(candle.low) for candle in shown],
            "c": [float(candle.close) for candle in shown],
            "v": [float(candle.volume) for candle in shown],
        }
        return Response({"s": "ok", **columns})


class TimeView(FormatView):
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(str(int(timezone.now().timestamp())), "text/plain; charset=utf-8")


class _PriceStep(NamedTuple):
    """The tick as the format has it: `minmov` / `pricescale`."""

    minmov: int
    pricescale: int


def _price_step(tick: Decimal) -> _PriceStep:
    scale = 10 ** _digits(tick)
    return _PriceStep(int(tick * scale), scale)


def _digits(step: Decimal) -> int:
    """The digits after the point."""
    exponent = step.normalize().as_tuple().exponent
    assert isinstance(exponent, int), "a step is a number"
    return max(0, -exponent)


def _market(asked: Mapping[str, Any]) -> Market:
    """Raises InvalidField and MarketNotFound."""
    prefix, _, symbol = (asked["symbol"] or "").rpartition(":")
    return known_market(symbol) if prefix == EXCHANGE and symbol else named_market(asked, "symbol")


def _full(market: Market) -> str:
    return f"{EXCHANGE}:{market.symbol}"


def _named(market: Market) -> dict[str, Any]:
    return {
        "ticker": market.symbol,
        "description": f"{market.base_id} / {market.quote_id}",
        "type": KIND,
        "exchange": EXCHANGE,
    }


def _span(resolution: str) -> candles.Span:
    """Raises InvalidField."""
    name = RESOLUTIONS.get(_SHORT.get(resolution, resolution))
    if name is None:
        raise InvalidField("resolution", "INVALID_CHOICE", f"resolution must be one of {', '.join(RESOLUTIONS)}")
    return candles.SPANS[name]


def _candles_before(market: Market, span: candles.Span, asked: Mapping[str, Any]) -> list[candles.Figures]:
    """The last candles that open before `to`, no more than the native call reads: charts ask for what is missing."""
    end = datetime.fromtimestamp(required(asked, "to"), UTC) - timedelta(seconds=1)
    limit = min(asked["countback"] or MOST, MOST)
    return find_candles(market.symbol, span, candles.Window(None, min(end, timezone.now()), limit))


def _seconds(candle: candles.Figures) -> int:
    return int(candle.opens_at.timestamp())


def _refusal_body(refusal: ExchangeError) -> dict[str, str]:
    """A refusal as charts read it, whoever refuses."""
    return {"s": "error", "errmsg": refusal.message}


DIALECT = Dialect("/udf/", lambda _request: None, _refusal_body)
