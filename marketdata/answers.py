"""Public market data as clients see it, over REST and in the events of a market's stream."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from base.web.rules import one_of
from base.web.values import Amount, Count, Id, Instant, SignedAmount, described
from core.types import Side
from markets.answers import Sequence, Symbol, TradeId


class Trade(TypedDict):
    """A line of the public tape."""

    tradeId: TradeId
    sequence: Sequence
    price: Amount
    quantity: Amount
    takerSide: Annotated[str, one_of(Side)]
    createdAt: Instant


class TradeOfFeed(Trade):
    """A trade as other systems receive it."""

    symbol: Symbol
    buyOrderId: Id
    sellOrderId: Id
    previous: Annotated[Count, described("The sequence of the market's trade before it; 0 for the first.")]


class Candle(TypedDict):
    """What was traded in one interval."""

    openTime: Instant
    open: Amount
    high: Amount
    low: Amount
    close: Amount
    volume: Amount
    quoteVolume: Amount
    trades: Count


class Level(TypedDict):
    """All that rests at one price."""

    price: Amount
    quantity: Amount
    orderCount: Annotated[int, Field(ge=1)]


class OrderBook(TypedDict):
    """The best levels of both sides; nulls where a side is empty."""

    symbol: Symbol
    sequence: Sequence
    bids: Annotated[list[Level], described("Best first.")]
    asks: Annotated[list[Level], described("Best first.")]
    bestBid: Amount | None
    bestAsk: Amount | None
    spread: SignedAmount | None
    indicativePrice: NotRequired[
        Annotated[Amount | None, described("In an auction: the price at which most would trade now.")]
    ]
    indicativeQuantity: NotRequired[Annotated[Amount, described("How much would trade then.")]]


class Ticker(TypedDict):
    """The last 24 hours; nulls where nothing was traded or nothing rests."""

    symbol: Symbol
    lastPrice: Amount | None
    priceChange: SignedAmount | None
    priceChangePercent: SignedAmount | None
    high: Amount | None
    low: Amount | None
    volume: Amount
    quoteVolume: Amount
    bestBid: Amount | None
    bestAsk: Amount | None
    trades: Count


class DepthEvent(TypedDict):
    """The book with 20 levels: on connect, then at most one per 50 ms, always the newest."""

    event: Literal["depth"]
    data: OrderBook


class TradesEvent(TypedDict):
    """What was traded, oldest first; batches that come fast are joined."""

    event: Literal["trades"]
    data: list[Trade]


class TickerEvent(TypedDict):
    """On connect and after changes, at most about once a second."""

    event: Literal["ticker"]
    data: Ticker


class MarketReset(TypedDict):
    reason: Literal["MAY_HAVE_MISSED"]


class MarketResetEvent(TypedDict):
    """Trades may have been missed: read REST. A full depth and ticker follow."""

    event: Literal["stream-reset"]
    data: MarketReset
