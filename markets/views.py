"""Markets and the public tape over REST."""

from typing import Any

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exchange.amounts import plain
from exchange.api import IsStaffOrReadOnly, answer, body
from exchange.errors import MarketNotFound, timestamp
from exchange.forms import parse_limit, printable
from markets import services
from markets.forms import MarketChangeForm, NewMarketForm
from markets.models import Market, Trade


class MarketsView(APIView):
    permission_classes = [IsStaffOrReadOnly]

    def get(self, request: Request) -> Response:
        return answer([represent_market(market) for market in Market.objects.order_by("symbol")])

    def post(self, request: Request) -> Response:
        market = services.create_market(**NewMarketForm().read(body(request)))
        return answer(represent_market(market), message="Market created", code=201)


class MarketView(APIView):
    permission_classes = [IsStaffOrReadOnly]

    def get(self, request: Request, symbol: str) -> Response:
        return answer(represent_market(known_market(symbol)))

    def patch(self, request: Request, symbol: str) -> Response:
        changed = services.change_market(known_market(symbol), **MarketChangeForm().read(body(request)))
        return answer(represent_market(changed), message="Market changed")


class TradesView(APIView):
    permission_classes = [AllowAny]

    def get(self, request: Request, symbol: str) -> Response:
        limit = parse_limit(request.query_params.get("limit"), 50, 500)
        tape = Trade.objects.filter(market=known_market(symbol)).order_by("-sequence")[:limit]
        return answer([represent_trade(trade) for trade in tape])


class TimeView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    def get(self, request: Request) -> Response:
        return answer({"serverTime": timestamp()})


def known_market(symbol: str) -> Market:
    """Raises MarketNotFound."""
    market = services.find_market(symbol)
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
    return {
        "tradeId": trade.trade_id,
        "sequence": trade.sequence,
        "price": plain(trade.price),
        "quantity": plain(trade.quantity),
        "takerSide": trade.taker_side,
        "createdAt": timestamp(trade.created_at),
    }
