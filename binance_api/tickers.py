"""Tickers in Binance's words, and the best price of each side with what stands there.

The figures are those of our own tickers. What these do not have is read beside them: the best levels of the market's
present book, and the last trades of the markets that are asked for.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django.utils import timezone

from binance_api.representation import amount, milliseconds
from binance_api.symbols import binance_name
from binance_api.tops import Level, Top, read_tops
from marketdata.answers import Ticker
from marketdata.tape import last_trades, ticker_window
from marketdata.tickers import find_tickers, shared_tickers
from markets.models import Trade

# What is not known: the trades of a window are not numbered one after the other, and its first one is not kept.
UNKNOWN = -1
_EIGHT = Decimal("0.00000001")
_THOUSANDTH = Decimal("0.001")


def read_tickers(symbols: Sequence[str] | None) -> list[Ticker]:
    """Those of these markets, or of all that are listed."""
    return find_tickers() if symbols is None else shared_tickers.many(list(symbols))


def full_tickers(tickers: Sequence[Ticker]) -> list[dict[str, Any]]:
    symbols, now = [each["symbol"] for each in tickers], timezone.now()
    tops, last = read_tops(symbols), last_trades(symbols)
    return [full_ticker(each, tops.get(each["symbol"]), last.get(each["symbol"]), now) for each in tickers]


def full_ticker(ticker: Ticker, top: Top | None, last: Trade | None, now: datetime) -> dict[str, Any]:
    bid, ask = (_best(None), _best(None)) if top is None else map(_best, top)
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


def book_ticker(symbol: str, top: Top | None) -> dict[str, Any]:
    (bid, bid_quantity), (ask, ask_quantity) = (_best(None), _best(None)) if top is None else map(_best, top)
    return {
        "symbol": binance_name(symbol),
        "bidPrice": bid,
        "bidQty": bid_quantity,
        "askPrice": ask,
        "askQty": ask_quantity,
    }


def _best(level: Level | None) -> tuple[str, str]:
    return (amount(None), amount(None)) if level is None else (amount(level[0]), amount(level[1]))


def _change_and_open(ticker: Ticker) -> tuple[Decimal, Decimal]:
    change = Decimal(ticker["priceChange"] or 0)
    return change, Decimal(ticker["lastPrice"] or 0) - change
