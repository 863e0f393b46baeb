"""Markets, the tape and candles, as the API's description tells of them."""

from base.web.errors import MarketNotFound, SymbolTaken
from base.web.openapi.operations import Call, Who, describe
from base.web.openapi.shapes import AMOUNT, COUNT, INSTANT, Schema, Shape, list_of, matching, record, word
from core.types import MarketStatus, SelfTradePrevention
from markets.forms import MarketChangeForm, NewMarketForm
from markets.models import ASSET_PATTERN, SYMBOL_PATTERN

TAG = "markets"
SYMBOL: Schema = matching(SYMBOL_PATTERN, "The symbol of a market.", examples=["BTC-USD"])
MARKET_PATH = {"symbol": SYMBOL}
ASSET: Schema = matching(ASSET_PATTERN, "The code of an asset.", examples=["BTC"])
TRADE_ID: Schema = matching(rf"{SYMBOL_PATTERN}-[0-9]+", "Symbol and sequence.", examples=["BTC-USD-17"])
SEQUENCE: Schema = {**COUNT, "format": "int64", "description": "The market's own number; it only rises."}
MARKET = Shape(
    "Market",
    record(
        {
            "symbol": SYMBOL,
            "base": ASSET,
            "quote": ASSET,
            "tickSize": AMOUNT,
            "lotSize": AMOUNT,
            "minQuantity": AMOUNT,
            "maxQuantity": AMOUNT,
            "minNotional": AMOUNT,
            "makerFeeRate": AMOUNT,
            "takerFeeRate": AMOUNT,
            "selfTradePrevention": word(*SelfTradePrevention),
            "status": word(*MarketStatus),
        }
    ),
)
_MOMENT = "ISO 8601, or milliseconds since 1970."

LIST_MARKETS = describe(Call(id="listMarkets", tag=TAG, summary="All markets", who=Who.ANYBODY, data=list_of(MARKET)))
OPEN_MARKET = describe(
    Call(
        id="openMarket",
        tag=TAG,
        summary="Open a market",
        text="Its assets are made (scale 8) if they are missing. It trades within seconds, with no restart.",
        who=Who.STAFF,
        body=NewMarketForm,
        examples={
            "a market": {"symbol": "BTC-EUR", "base": "BTC", "quote": "EUR", "tickSize": "0.01", "lotSize": "0.0001"}
        },
        data=MARKET,
        status=201,
        refusals=("INVALID_MARKET", SymbolTaken),
    )
)
READ_MARKET = describe(
    Call(
        id="readMarket",
        tag=TAG,
        summary="A market",
        who=Who.ANYBODY,
        path=MARKET_PATH,
        data=MARKET,
        refusals=(MarketNotFound,),
    )
)
CHANGE_MARKET = describe(
    Call(
        id="changeMarket",
        tag=TAG,
        summary="Change status and limits",
        text="A status is a command in the market's own sequence: what was accepted before it is still matched.",
        who=Who.STAFF,
        path=MARKET_PATH,
        body=MarketChangeForm,
        examples={"halt": {"status": "HALTED"}},
        data=MARKET,
        refusals=("INVALID_MARKET", MarketNotFound),
    )
)
READ_TIME = describe(
    Call(id="readTime", tag=TAG, summary="The server's time", who=Who.NOBODY, data=record({"serverTime": INSTANT}))
)
