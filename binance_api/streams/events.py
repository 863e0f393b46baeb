"""The events of market streams as text, of what our own streams and answers show. Pure but for the time of sending."""

import time
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from base.streams.messages import data_text
from binance_api.representation import aggregate_trade, amount, milliseconds
from binance_api.streams.changes import Update
from core.money import UNIT
from marketdata.answers import Level, Trade
from marketdata.candles import Figures, Span

# Price and quantity of the best bid and the best ask.
Best = tuple[list[str], list[str]]
# How the fields of REST are called in a stream.
_TICKER = {
    "p": "priceChange",
    "P": "priceChangePercent",
    "w": "weightedAvgPrice",
    "x": "prevClosePrice",
    "c": "lastPrice",
    "Q": "lastQty",
    "b": "bidPrice",
    "B": "bidQty",
    "a": "askPrice",
    "A": "askQty",
    "o": "openPrice",
    "h": "highPrice",
    "l": "lowPrice",
    "v": "volume",
    "q": "quoteVolume",
    "O": "openTime",
    "C": "closeTime",
    "F": "firstId",
    "L": "lastId",
    "n": "count",
}
_MINI_TICKER = ("c", "o", "h", "l", "v", "q")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def trade_event(name: str, trade: Trade) -> str:
    return data_text(
        {
            **_head("trade", name),
            "t": trade["sequence"],
            "p": amount(trade["price"]),
            "q": amount(trade["quantity"]),
            "T": milliseconds(trade["createdAt"]),
            "m": trade["takerSide"] == "SELL",
            "M": True,
        }
    )


def aggregate_event(name: str, trade: Trade) -> str:
    return data_text({**_head("aggTrade", name), **aggregate_trade(trade)})


def depth_event(name: str, update: Update) -> str:
    sides = {"b": _changes(update.bids), "a": _changes(update.asks)}
    return data_text({**_head("depthUpdate", name), "U": update.first, "u": update.last, **sides})


def partial_depth(sequence: int, bids: Sequence[Level], asks: Sequence[Level], levels: int) -> str:
    sides = {side: [_level(each) for each in found[:levels]] for side, found in (("bids", bids), ("asks", asks))}
    return data_text({"lastUpdateId": sequence, **sides})


def best_prices(bids: Sequence[Level], asks: Sequence[Level]) -> Best:
    """Zeros where a side is empty."""
    nothing = [amount(None), amount(None)]
    return _level(bids[0]) if bids else nothing, _level(asks[0]) if asks else nothing


def book_ticker(name: str, sequence: int, best: Best) -> str:
    (bid, bid_quantity), (ask, ask_quantity) = best
    return data_text({"u": sequence, "s": name, "b": bid, "B": bid_quantity, "a": ask, "A": ask_quantity})


def ticker(shown: Mapping[str, Any]) -> dict[str, Any]:
    """`shown` is the ticker as REST answers it in full."""
    return {**_head("24hrTicker", shown["symbol"]), **{short: shown[name] for short, name in _TICKER.items()}}


def mini_ticker(shown: Mapping[str, Any]) -> dict[str, Any]:
    return {**_head("24hrMiniTicker", shown["symbol"]), **{short: shown[_TICKER[short]] for short in _MINI_TICKER}}


def kline_event(name: str, span: Span, candle: Figures, *, is_closed: bool) -> str:
    """Who was the taker, and the numbers of the first and the last trade, are not kept with a candle."""
    opens = milliseconds(candle.opens_at)
    kline = {
        "t": opens,
        "T": milliseconds(span.opening(span.number(candle.opens_at) + 1)) - 1,
        "s": name,
        "i": span.name,
        "f": -1,
        "L": -1,
        "o": amount(candle.open),
        "c": amount(candle.close),
        "h": amount(candle.high),
        "l": amount(candle.low),
        "v": amount(candle.volume),
        "n": candle.trades,
        "x": is_closed,
        "q": amount(candle.quote_volume),
        "V": amount(Decimal(0)),
        "Q": amount(Decimal(0)),
        "B": "0",
    }
    return data_text({**_head("kline", name), "k": kline})


def combined(name: str, text: str) -> str:
    """An event as it is sent on a connection of several streams. `name` is checked: it needs no escapes."""
    return f'{{"stream":"{name}","data":{text}}}'


def _head(kind: str, name: str) -> dict[str, Any]:
    return {"e": kind, "E": now_ms(), "s": name}


def _level(level: Level) -> list[str]:
    return [amount(level["price"]), amount(level["quantity"])]


def _changes(changes: Iterable[tuple[int, int]]) -> list[list[str]]:
    return [[_units(price), _units(quantity)] for price, quantity in changes]


def _units(units: int) -> str:
    whole, part = divmod(units, UNIT)
    return f"{whole}.{part:08d}"
