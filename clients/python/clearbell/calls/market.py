"""What anybody may ask."""

from datetime import datetime

from ..answers.market import Asset, Candle, Depth, Fees, Info, Market, Ticker, Time, Trade
from .call import Call, Page, get, many, one, part


def markets() -> Call[Page[Market]]:
    """All markets that are listed."""
    return get("/markets", many(Market))


def market(symbol: str) -> Call[Market]:
    """One market, delisted ones included."""
    return get(f"/markets/{part(symbol)}", one(Market))


def assets() -> Call[Page[Asset]]:
    """What users can own."""
    return get("/assets", many(Asset))


def depth(symbol: str, *, limit: int = 20) -> Call[Depth]:
    """The order book, with up to 500 levels."""
    return get(f"/orderbook/{part(symbol)}", one(Depth), limit=limit)


def trades(
    symbol: str,
    *,
    start_time: datetime | None = None,
    end_time: datetime | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[Page[Trade]]:
    """The public tape, newest first."""
    window = {"start_time": start_time, "end_time": end_time}
    return get(f"/trades/{part(symbol)}", many(Trade), **window, limit=limit, cursor=cursor)


def klines(
    symbol: str,
    interval: str = "1m",
    *,
    start_time: datetime | None = None,
    end_time: datetime | None = None,
    limit: int | None = None,
) -> Call[Page[Candle]]:
    """Candles, oldest first; with a `start_time` the first from then on, else the last."""
    window = {"start_time": start_time, "end_time": end_time}
    return get(f"/klines/{part(symbol)}", many(Candle), interval=interval, **window, limit=limit)


def ticker(symbol: str) -> Call[Ticker]:
    """The last 24 hours of a market."""
    return get(f"/ticker/{part(symbol)}", one(Ticker))


def tickers() -> Call[Page[Ticker]]:
    """The last 24 hours of all markets."""
    return get("/ticker", many(Ticker))


def time() -> Call[Time]:
    """The exchange's clock."""
    return get("/time", one(Time))


def info() -> Call[Info]:
    """Which exchange answers."""
    return get("/info", one(Info))


def fees() -> Call[Page[Fees]]:
    """The rates for one's own new orders, by market."""
    return get("/fees", many(Fees))
