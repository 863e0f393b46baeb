"""Markets, the tape and candles, as the API's description tells of them."""

from base.web.errors import MarketNotFound, SymbolTaken
from base.web.openapi.operations import Call, Query, Who, describe, limit
from base.web.openapi.shapes import AMOUNT, COUNT, INSTANT, TEXT, Schema, Shape, list_of, matching, record, word
from core.types import SelfTradePrevention, Side
from markets.forms import MarketChangeForm, NewMarketForm
from markets.models import ASSET_PATTERN, SYMBOL_PATTERN, Interval, MarketStatus

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
            "status": word(*MarketStatus.values),
        }
    ),
)
TRADE = Shape(
    "Trade",
    record(
        {
            "tradeId": TRADE_ID,
            "sequence": SEQUENCE,
            "price": AMOUNT,
            "quantity": AMOUNT,
            "takerSide": word(*Side),
            "createdAt": INSTANT,
        },
        text="A line of the public tape.",
    ),
)
CANDLE = Shape(
    "Candle",
    record(
        {
            "openTime": INSTANT,
            "open": AMOUNT,
            "high": AMOUNT,
            "low": AMOUNT,
            "close": AMOUNT,
            "volume": AMOUNT,
            "quoteVolume": AMOUNT,
            "trades": COUNT,
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
READ_TRADES = describe(
    Call(
        id="readTrades",
        tag=TAG,
        summary="The tape, newest first",
        who=Who.ANYBODY,
        path=MARKET_PATH,
        query=(limit(50),),
        data=list_of(TRADE),
        refusals=(MarketNotFound,),
    )
)
READ_CANDLES = describe(
    Call(
        id="readCandles",
        tag=TAG,
        summary="Candles, oldest first",
        text="Intervals without a trade included, none before the market's first trade.",
        who=Who.ANYBODY,
        path=MARKET_PATH,
        query=(
            Query(
                "interval", {**word(*Interval.labels), "default": "1m"}, "How long a candle lasts.", ("INVALID_CHOICE",)
            ),
            Query("startTime", TEXT, f"The first one opens at or before it. {_MOMENT}", ("INVALID_TIME",)),
            Query("endTime", TEXT, f"The last one opens at or before it. {_MOMENT}", ("INVALID_TIME",)),
            limit(100),
        ),
        data=list_of(CANDLE),
        refusals=(MarketNotFound,),
    )
)
READ_TIME = describe(
    Call(id="readTime", tag=TAG, summary="The server's time", who=Who.NOBODY, data=record({"serverTime": INSTANT}))
)
