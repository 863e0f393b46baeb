"""The order book and the ticker over REST."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema_view
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer
from base.web.forms import parse_limit
from marketdata import schema
from marketdata.depth import read_depth
from marketdata.ticker import read_ticker
from markets.models import Market
from markets.views import known_market


@extend_schema_view(get=schema.LIST_TICKERS)
class TickersView(APIView):
    permission_classes = [AllowAny]

    def get(self, request: Request) -> Response:
        now = timezone.now()
        return answer([read_ticker(market, now) for market in Market.objects.order_by("symbol")])


@extend_schema_view(get=schema.READ_TICKER)
class TickerView(APIView):
    permission_classes = [AllowAny]

    def get(self, request: Request, symbol: str) -> Response:
        return answer(read_ticker(known_market(symbol), timezone.now()))


@extend_schema_view(get=schema.READ_DEPTH)
class DepthView(APIView):
    permission_classes = [AllowAny]

    def get(self, request: Request, symbol: str) -> Response:
        limit = parse_limit(request.query_params.get("limit"), 20, 500)
        return answer(read_depth(known_market(symbol).symbol, limit))
