"""The order book, the ticker and a market's stream, as the API's description tells of them."""

from base.streams.messages import RESET
from base.web.errors import MarketNotFound
from base.web.openapi.operations import Call, Event, Query, Who, describe, limit, path_parameter, stream
from base.web.openapi.shapes import AMOUNT, COUNT, INSTANT, SIGNED_AMOUNT, TEXT, Shape, list_of, nullable, record, word
from core.types import Side
from marketdata.feed import DEPTH, LEVELS, TICKER, TRADES
from markets.api_docs import _MOMENT, MARKET_PATH, SEQUENCE, SYMBOL, TAG, TRADE_ID
from markets.models import Interval

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


LEVEL = Shape("Level", record({"price": AMOUNT, "quantity": AMOUNT, "orderCount": {**COUNT, "minimum": 1}}))
BOOK = Shape(
    "OrderBook",
    record(
        {
            "symbol": SYMBOL,
            "sequence": SEQUENCE,
            "bids": list_of(LEVEL, "Best first."),
            "asks": list_of(LEVEL, "Best first."),
            "bestBid": nullable(AMOUNT),
            "bestAsk": nullable(AMOUNT),
            "spread": nullable(SIGNED_AMOUNT),
        },
        text="The best levels of both sides; nulls where a side is empty.",
    ),
)
LAST_DAY = Shape(
    "Ticker",
    record(
        {
            "symbol": SYMBOL,
            "lastPrice": nullable(AMOUNT),
            "priceChange": nullable(SIGNED_AMOUNT),
            "priceChangePercent": nullable(SIGNED_AMOUNT),
            "high": nullable(AMOUNT),
            "low": nullable(AMOUNT),
            "volume": AMOUNT,
            "quoteVolume": AMOUNT,
            "bestBid": nullable(AMOUNT),
            "bestAsk": nullable(AMOUNT),
            "trades": COUNT,
        },
        text="The last 24 hours; nulls while there is nothing to tell.",
    ),
)

LIST_TICKERS = describe(
    Call(id="listTickers", tag=TAG, summary="The tickers of all markets", who=Who.ANYBODY, data=list_of(LAST_DAY))
)
READ_TICKER = describe(
    Call(
        id="readTicker",
        tag=TAG,
        summary="The ticker of a market",
        who=Who.ANYBODY,
        path=MARKET_PATH,
        data=LAST_DAY,
        refusals=(MarketNotFound,),
    )
)
READ_DEPTH = describe(
    Call(
        id="readOrderBook",
        tag=TAG,
        summary="The order book",
        who=Who.ANYBODY,
        path=MARKET_PATH,
        query=(limit(20),),
        data=BOOK,
        refusals=(MarketNotFound,),
    )
)

EVENTS = {
    DEPTH: Event(
        name=DEPTH,
        text=f"The book with {LEVELS} levels: on connect, then at most one per 50 ms, always the newest.",
        data=BOOK,
    ).shape("DepthEvent"),
    TRADES: Event(
        name=TRADES, text="What was traded, oldest first; batches that come fast are joined.", data=list_of(TRADE)
    ).shape("TradesEvent"),
    TICKER: Event(name=TICKER, text="On connect and after changes, at most about once a second.", data=LAST_DAY).shape(
        "TickerEvent"
    ),
    RESET: Event(
        name=RESET,
        text="Trades may have been missed: read REST. A full depth and ticker follow.",
        data=record({"reason": word("MAY_HAVE_MISSED")}),
    ).shape("MarketResetEvent"),
}
MARKET_STREAM = stream(
    name="streamMarket",
    summary="A market's depth, trades and ticker, as they change",
    text="Open to anybody. The events have no `id:` lines; a keep-alive comment comes every 15 seconds.",
    security=[{}],
    parameters=[path_parameter("symbol", SYMBOL)],
    events=list(EVENTS.values()),
    refusals=(MarketNotFound,),
)
