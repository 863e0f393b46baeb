"""Tickers in Binance's words, and the best price of each side with what stands there.

The figures are those of our own tickers. What these do not have is read beside them: the best levels as shared readings
of the market's present book, and the last trades of the markets that are asked for.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django.utils import timezone

from base.storage.shared_readings import SharedReadings
from binance_api.representation import amount, milliseconds
from binance_api.symbols import binance_name
from marketdata.answers import OrderBook, Ticker
from marketdata.depth_cache import BookState, find_depth, read_states, states_of
from marketdata.tape import last_trades, ticker_window
from marketdata.tickers import find_ticker, find_tickers
from markets.models import Trade

_KEPT = 10_000
# What is not known: the trades of a window are not numbered one after the other, and its first one is not kept.
UNKNOWN = -1
_EIGHT = Decimal("0.00000001")
_THOUSANDTH = Decimal("0.001")


def read_tickers(symbols: Sequence[str] | None) -> list[Ticker]:
    """Those of these markets, or of all that are listed."""
    return find_tickers() if symbols is None else [find_ticker(symbol) for symbol in symbols]


def full_tickers(tickers: Sequence[Ticker]) -> list[dict[str, Any]]:
    symbols, now = [each["symbol"] for each in tickers], timezone.now()
    tops, last = read_tops(symbols), last_trades(symbols)
    return [full_ticker(each, tops.get(each["symbol"]), last.get(each["symbol"]), now) for each in tickers]


def full_ticker(ticker: Ticker, top: OrderBook | None, last: Trade | None, now: datetime) -> dict[str, Any]:
    bid, ask = _best(top, "bids"), _best(top, "asks")
    change, opened = _change_and_open(ticker)
    volume, quote = Decimal(ticker["volume"]), Decimal(ticker["quoteVolume"])
    mini = mini_ticker(ticker, last, now)
    return {
        "symbol": mini.pop("symbol"),
        "priceChange": amount(change),
        "priceChangePercent": f"{Decimal(ticker['priceChangePercent'] or 0).quantize(_THOUSANDTH, ROUND_HALF_EVEN):f}",
        "weightedAvgPrice": amount((quote / volume).quantize(_EIGHT, ROUND_HALF_EVEN) if volume else None),
        # The price of 24 hours ago is both.
        "prevClosePrice": amount(opened),
        "lastPrice": mini.pop("lastPrice"),
        "lastQty": amount(None if last is None else last.quantity),
        "bidPrice": bid[0],
        "bidQty": bid[1],
        "askPrice": ask[0],
        "askQty": ask[1],
        **mini,
    }


def mini_ticker(ticker: Ticker, last: Trade | None, now: datetime) -> dict[str, Any]:
    _, opened = _change_and_open(ticker)
    begins = ticker_window(now)
    return {
        "symbol": binance_name(ticker["symbol"]),
        "openPrice": amount(opened),
        "highPrice": amount(ticker["high"]),
        "lowPrice": amount(ticker["low"]),
        "lastPrice": amount(ticker["lastPrice"]),
        "volume": amount(ticker["volume"]),
        "quoteVolume": amount(ticker["quoteVolume"]),
        "openTime": milliseconds(begins),
        "closeTime": milliseconds(now),
        "firstId": UNKNOWN,
        "lastId": UNKNOWN if last is None or last.created_at < begins else last.sequence,
        "count": ticker["trades"],
    }


def price_ticker(ticker: Ticker) -> dict[str, Any]:
    return {"symbol": binance_name(ticker["symbol"]), "price": amount(ticker["lastPrice"])}


def book_ticker(symbol: str, top: OrderBook | None) -> dict[str, Any]:
    (bid, bid_quantity), (ask, ask_quantity) = _best(top, "bids"), _best(top, "asks")
    return {
        "symbol": binance_name(symbol),
        "bidPrice": bid,
        "bidQty": bid_quantity,
        "askPrice": ask,
        "askQty": ask_quantity,
    }


def read_tops(symbols: Sequence[str]) -> Mapping[str, OrderBook]:
    """The best level of each side. Only those are read of the markets in which something has happened since; one that
    had no order yet has none.
    """
    begun = _versions(symbols)
    wanted = [symbol for symbol in symbols if symbol in begun]
    return dict(zip(wanted, shared_tops.many(wanted), strict=True))


def _best(top: OrderBook | None, side: str) -> tuple[str, str]:
    levels = [] if top is None else top["bids"] if side == "bids" else top["asks"]
    return (amount(levels[0]["price"]), amount(levels[0]["quantity"])) if levels else (amount(None), amount(None))


def _change_and_open(ticker: Ticker) -> tuple[Decimal, Decimal]:
    change = Decimal(ticker["priceChange"] or 0)
    return change, Decimal(ticker["lastPrice"] or 0) - change


def _versions(symbols: Sequence[str]) -> Mapping[str, BookState]:
    states = states_of(symbols) if len(symbols) == 1 else read_states()
    return {symbol: states[symbol] for symbol in symbols if symbol in states}


shared_tops: SharedReadings[str, OrderBook] = SharedReadings(
    _KEPT, _versions, lambda symbols: [find_depth(symbol, 1) for symbol in symbols]
)
