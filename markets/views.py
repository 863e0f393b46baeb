"""Markets and the public tape over REST."""

from typing import Any

from drf_spectacular.utils import extend_schema_view
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer, body
from base.web.authentication import IsStaffOrReadOnly
from base.web.errors import timestamp
from core.money import plain
from markets import api_docs, services
from markets.forms import MarketChangeForm, NewMarketForm
from markets.models import Market
from markets.services import _found


@extend_schema_view(get=api_docs.LIST_MARKETS, post=api_docs.OPEN_MARKET)
class MarketsView(APIView):
    permission_classes = [IsStaffOrReadOnly]

    def get(self, request: Request) -> Response:
        return answer([represent_market(market) for market in Market.objects.order_by("symbol")])

    def post(self, request: Request) -> Response:
        market = services.create_market(**NewMarketForm().read(body(request)))
        return answer(represent_market(market), message="Market created", code=201)


@extend_schema_view(get=api_docs.READ_MARKET, patch=api_docs.CHANGE_MARKET)
class MarketView(APIView):
    permission_classes = [IsStaffOrReadOnly]

    def get(self, request: Request, symbol: str) -> Response:
        return answer(represent_market(_present_market(symbol)))

    def patch(self, request: Request, symbol: str) -> Response:
        changed = services.change_market(_present_market(symbol), **MarketChangeForm().read(body(request)))
        return answer(represent_market(changed), message="Market changed")


@extend_schema_view(get=api_docs.READ_TIME)
class TimeView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    def get(self, request: Request) -> Response:
        return answer({"serverTime": timestamp()})


def _present_market(symbol: str) -> Market:
    """As it is now, whichever process changed it. Raises MarketNotFound."""
    return _found(symbol, services.read_market(symbol))


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
