"""Markets over REST."""

from decimal import Decimal
from typing import Annotated

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer, body
from base.web.authentication import HoldsOrReads, caller_id
from base.web.errors import MarketDelisted, SymbolTaken, timestamp
from base.web.forms import Form
from base.web.keys.scopes import OWNER, PUBLIC, READ
from base.web.openapi.operations import Call
from base.web.rules import ANY_NUMBER, FLAG, NOT_NEGATIVE, POSITIVE, line, one_of, or_null, text, whole
from core.types import FeeCurrency, MarketStatus, SelfTradePrevention
from markets import answers, fees, services
from markets.models import ASSET_PATTERN, MOST_OPEN_ORDERS, SYMBOL_PATTERN, Asset
from users.acts import REASON_LENGTH, actor_of

TAG = "markets"
_EXAMPLE = {"symbol": "BTC-EUR", "base": "BTC", "quote": "EUR", "tickSize": "0.01", "lotSize": "0.0001"}


class MarketChangeForm(Form):
    """What can be changed of a market: tick and lot, which its orders were checked against, cannot."""

    min_quantity: Annotated[Decimal | None, POSITIVE] = None
    max_quantity: Annotated[Decimal | None, POSITIVE] = None
    min_notional: Annotated[Decimal | None, NOT_NEGATIVE] = None
    max_notional: Annotated[Decimal | None, POSITIVE] = None
    price_band: Annotated[Decimal | None, or_null(POSITIVE)] = None
    max_open_orders: Annotated[int | None, whole(1, MOST_OPEN_ORDERS)] = None
    maker_fee_rate: Annotated[Decimal | None, ANY_NUMBER] = None
    taker_fee_rate: Annotated[Decimal | None, NOT_NEGATIVE] = None
    fee_currency: Annotated[str | None, one_of(FeeCurrency)] = None
    self_trade_prevention: Annotated[str | None, one_of(SelfTradePrevention)] = None
    status: Annotated[str | None, one_of(MarketStatus)] = None
    simulated_fates: Annotated[bool | None, FLAG] = None
    # Kept with the act.
    reason: Annotated[str, line(REASON_LENGTH)] = ""


class NewMarketForm(MarketChangeForm):
    """A new market."""

    symbol: Annotated[str, text(SYMBOL_PATTERN, 33)]
    base: Annotated[str, text(ASSET_PATTERN, 16)]
    quote: Annotated[str, text(ASSET_PATTERN, 16)]
    tick_size: Annotated[Decimal, POSITIVE]
    lot_size: Annotated[Decimal, POSITIVE]


class AssetsView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    @Call(TAG, "listAssets", "All assets", list[answers.Asset], scope=PUBLIC)
    def get(self, request: Request) -> Response:
        return answer([answers.Asset.of(asset) for asset in Asset.objects.order_by("code")])


class FeesView(APIView):
    @Call(
        *(TAG, "listFees", "One's own fees, by market", list[answers.Fees]),
        scope=READ,
        text="New orders are accepted with these rates a few seconds after they changed; orders keep theirs.",
    )
    def get(self, request: Request) -> Response:
        standing = fees.read_standing(caller_id(request), fees.read_tiers())
        return answer([fees.represent(market, standing) for market in services.public_markets()])


class MarketsView(APIView):
    permission_classes = [HoldsOrReads.permission("markets.add_market")]

    @Call(TAG, "listMarkets", "All markets that are not delisted", list[answers.Market], scope=PUBLIC)
    def get(self, request: Request) -> Response:
        return answer([answers.Market.of(market) for market in services.public_markets()])

    @Call(
        *(TAG, "openMarket", "Open a market", answers.Market),
        scope=OWNER,
        text="Its assets are made (scale 8) if they are missing. It trades within seconds, with no restart.",
        status=201,
        body=NewMarketForm,
        examples={"a market": _EXAMPLE},
        refusals=("INVALID_MARKET", "FIELD_NOT_ALLOWED", SymbolTaken),
    )
    def post(self, request: Request) -> Response:
        fields = NewMarketForm.read(body(request)).sent()
        actor = actor_of(request, fields.pop("reason", ""))
        market = services.create_market(actor=actor, **fields)
        return answer(answers.Market.of(market), message="Market created", code=201)


class MarketView(APIView):
    permission_classes = [HoldsOrReads.permission("markets.change_market")]

    @Call(TAG, "readMarket", "A market", answers.Market, scope=PUBLIC)
    def get(self, request: Request, symbol: str) -> Response:
        return answer(answers.Market.of(services.read_market(symbol)))

    @Call(
        *(TAG, "changeMarket", "Change status and limits", answers.Market),
        scope=OWNER,
        text="A status is a command in the market's own sequence: what was accepted before it is still matched.",
        body=MarketChangeForm,
        examples={"halt": {"status": "HALTED"}},
        refusals=("INVALID_MARKET", "FIELD_NOT_ALLOWED", MarketDelisted),
    )
    def patch(self, request: Request, symbol: str) -> Response:
        changes = MarketChangeForm.read(body(request)).sent()
        actor = actor_of(request, changes.pop("reason", ""))
        changed = services.change_market(services.read_market(symbol), actor, **changes)
        return answer(answers.Market.of(changed), message="Market changed")


class TimeView(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []

    @Call(TAG, "readTime", "The server's time", answers.ServerTime, scope=PUBLIC)
    def get(self, request: Request) -> Response:
        now: answers.ServerTime = {"serverTime": timestamp()}
        return answer(now)
