"""Markets and the public tape over REST."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_view
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.storage.fields import plain, plain_units
from base.web.answers import IsStaffOrReadOnly, answer, body
from base.web.errors import InvalidField, MarketNotFound, timestamp
from base.web.forms import parse_id, parse_limit, printable
from core.money import to_units
from marketdata import candles
from markets import schema, services
from markets.forms import MarketChangeForm, NewMarketForm
from markets.models import Candle, Interval, Market, Trade
from matching import switching

# Candles outside of these years are none of ours, and dates near the ends of the calendar cannot be reckoned with.
FIRST_YEAR, LAST_YEAR = 2000, 2199


@extend_schema_view(get=schema.LIST_MARKETS, post=schema.OPEN_MARKET)
class MarketsView(APIView):
    permission_classes = [IsStaffOrReadOnly]

    def get(self, request: Request) -> Response:
        return answer([represent_market(market) for market in Market.objects.order_by("symbol")])

    def post(self, request: Request) -> Response:
        market = switching.create_market(**NewMarketForm().read(body(request)))
        return answer(represent_market(market), message="Market created", code=201)


@extend_schema_view(get=schema.READ_MARKET, patch=schema.CHANGE_MARKET)
class MarketView(APIView):
    permission_classes = [IsStaffOrReadOnly]

    def get(self, request: Request, symbol: str) -> Response:
        return answer(represent_market(_present_market(symbol)))

    def patch(self, request: Request, symbol: str) -> Response:
        changed = switching.change_market(_present_market(symbol), **MarketChangeForm().read(body(request)))
        return answer(represent_market(changed), message="Market changed")


@extend_schema_view(get=schema.READ_TRADES)
class TradesView(APIView):
    permission_classes = [AllowAny]

    def get(self, request: Request, symbol: str) -> Response:
        limit = parse_limit(request.query_params.get("limit"), 50, 500)
        tape = Trade.objects.filter(market=known_market(symbol)).order_by("-sequence")[:limit]
        return answer([represent_trade(trade) for trade in tape])


@extend_schema_view(get=schema.READ_CANDLES)
class KlinesView(APIView):
    permission_classes = [AllowAny]

    def get(self, request: Request, symbol: str) -> Response:
        market, query = known_market(symbol), request.query_params
        interval = _interval(query.get("interval"))
        limit = parse_limit(query.get("limit"), 100, 500)
        first, last = _window(query.get("startTime"), query.get("endTime"), interval, limit)
        return answer([represent_candle(candle) for candle in candles.read(market, interval, first, last)])


@extend_schema_view(get=schema.READ_TIME)
class TimeView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    def get(self, request: Request) -> Response:
        return answer({"serverTime": timestamp()})


def _interval(name: str | None) -> Interval:
    names = {choice.label: choice for choice in Interval}
    if name is None:
        return Interval.MINUTE
    if name not in names:
        raise InvalidField("interval", "INVALID_CHOICE", f"interval must be one of {', '.join(names)}")
    return names[name]


def _window(start: str | None, end: str | None, interval: Interval, limit: int) -> tuple[datetime, datetime]:
    """The first and the last opening: at most `limit` of them, from the start if it is given, else up to the end."""
    span = timedelta(seconds=interval * (limit - 1))
    last = candles.opens_at(timezone.now() if end is None else _instant("endTime", end), interval)
    if start is None:
        return last - span, last
    first = candles.opens_at(_instant("startTime", start), interval)
    return first, min(last, first + span)


def _instant(name: str, text: str) -> datetime:
    """An ISO 8601 instant, or milliseconds since 1970. Raises InvalidField."""
    milliseconds = parse_id(text)
    try:
        if milliseconds is not None:
            instant = datetime.fromtimestamp(milliseconds / 1000, UTC)
        else:
            instant = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidField(name, "INVALID_TIME", f"{name} must be ISO 8601 or milliseconds since 1970") from error
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise InvalidField(name, "INVALID_TIME", f"{name} must lie between {FIRST_YEAR} and {LAST_YEAR}")
    return instant


def known_market(symbol: str) -> Market:
    """As it was within the last second, not to be changed. Raises MarketNotFound."""
    return _found(symbol, services.find_market(symbol))


def _present_market(symbol: str) -> Market:
    """As it is now, whichever process changed it. Raises MarketNotFound."""
    return _found(symbol, services.read_market(symbol))


def _found(symbol: str, market: Market | None) -> Market:
    if market is None:
        raise MarketNotFound(f"there is no market {printable(symbol)}")
    return market


def represent_market(market: Market) -> dict[str, Any]:
    return {
        "symbol": market.symbol,
        "base": market.base_id,
        "quote": market.quote_id,
        "tickSize": plain(market.tick_size),
        "lotSize": plain(market.lot_size),
        "minQuantity": plain(market.min_quantity),
        "maxQuantity": plain(market.max_quantity),
        "minNotional": plain(market.min_notional),
        "makerFeeRate": plain(market.maker_fee_rate),
        "takerFeeRate": plain(market.taker_fee_rate),
        "selfTradePrevention": market.self_trade_prevention,
        "status": market.status,
    }


def represent_trade(trade: Trade) -> dict[str, Any]:
    amounts = (to_units(trade.price), to_units(trade.quantity))
    return represent_print(trade.market_id, trade.sequence, *amounts, trade.taker_side, trade.created_at)


def represent_print(
    symbol: str, sequence: int, price: int, quantity: int, taker_side: str, created_at: datetime
) -> dict[str, Any]:
    """One line of the tape, over REST and over the stream alike; its amounts are given in units."""
    return {
        "tradeId": f"{symbol}-{sequence}",
        "sequence": sequence,
        "price": plain_units(price),
        "quantity": plain_units(quantity),
        "takerSide": taker_side,
        "createdAt": timestamp(created_at),
    }


def represent_candle(candle: Candle) -> dict[str, Any]:
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
