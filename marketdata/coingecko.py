"""Markets, books and trades as CoinGecko and others who list exchanges ask for them.

https://docs.google.com/document/d/1v27QFoQq1SKT3Priq3aqPgB70Xd_PnDzbOCiuoCyixw describes the format ("Exchange API
endpoint requirements"). A ticker's id is the market's symbol. Amounts are strings, times milliseconds since 1970.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone
from pydantic_core import core_schema
from rest_framework.request import Request
from rest_framework.response import Response

from base.web.queries import INSTANT, MOST, Query
from base.web.rules import Rule
from core.money import plain
from core.types import Side
from marketdata import answers
from marketdata.formats import WORDS, FormatView, named_market, whole_number
from marketdata.indicative import find_order_book
from marketdata.shared_answers import find_trades
from marketdata.tickers import find_tickers
from markets.services import public_markets

_USUALLY = 100
_TICKER_ID = Query("ticker_id", WORDS, "A market's symbol.")
_KINDS = Rule(core_schema.literal_schema(["buy", "sell"]), {"literal_error": ("INVALID_CHOICE", "must be buy or sell")})


class PairsView(FormatView):
    def get(self, request: Request) -> Response:
        pairs = public_markets().values_list("symbol", "base_id", "quote_id")
        return Response([{"ticker_id": symbol, "base": base, "target": quote} for symbol, base, quote in pairs])


class TickersView(FormatView):
    def get(self, request: Request) -> Response:
        assets = {symbol: pair for symbol, *pair in public_markets().values_list("symbol", "base_id", "quote_id")}
        # A market that was listed between the two readings is in the next answer.
        return Response([_ticker(each, *assets[each["symbol"]]) for each in find_tickers() if each["symbol"] in assets])


class OrderBookView(FormatView):
    queries = (
        _TICKER_ID,
        Query("depth", whole_number(1_000_000), "Levels of both sides together; 0 for all.", default=_USUALLY),
    )

    def get(self, request: Request) -> Response:
        asked = self.asked(request)
        market = named_market(asked, "ticker_id")
        of_each_side = min(-(-asked["depth"] // 2) or MOST, MOST)
        book = find_order_book(market.symbol, of_each_side)
        return Response(
            {
                "ticker_id": market.symbol,
                "timestamp": str(int(timezone.now().timestamp() * 1000)),
                "bids": _levels(book["bids"]),
                "asks": _levels(book["asks"]),
            }
        )


class TradesView(FormatView):
    queries = (
        _TICKER_ID,
        Query("type", _KINDS, "Trades with a buyer, or a seller, who took: without it both."),
        Query("limit", whole_number(1_000_000), "Of the newest trades at most so many; 0 for all.", default=_USUALLY),
        Query("start_time", INSTANT, "Those made at it or later."),
        Query("end_time", INSTANT, "Those made before it."),
    )

    def get(self, request: Request) -> Response:
        asked = self.asked(request)
        market = named_market(asked, "ticker_id")
        newest = min(asked["limit"] or MOST, MOST)
        trades, _ = find_trades(market.symbol, asked["start_time"], asked["end_time"], None, newest)
        kinds = [asked["type"]] if asked["type"] else ["buy", "sell"]
        return Response({kind: [_trade(each, kind) for each in trades if _kind(each) == kind] for kind in kinds})


def _ticker(ticker: answers.Ticker, base: str, quote: str) -> dict[str, Any]:
    return {
        "ticker_id": ticker["symbol"],
        "base_currency": base,
        "target_currency": quote,
        "last_price": ticker["lastPrice"],
        "base_volume": ticker["volume"],
        "target_volume": ticker["quoteVolume"],
        "bid": ticker["bestBid"],
        "ask": ticker["bestAsk"],
        "high": ticker["high"],
        "low": ticker["low"],
    }


def _levels(levels: Sequence[answers.Level]) -> list[tuple[str, str]]:
    return [(level["price"], level["quantity"]) for level in levels]


def _kind(trade: Mapping[str, Any]) -> str:
    """What the taker did: a buyer took an ask out of the book."""
    return "buy" if trade["takerSide"] == Side.BUY else "sell"


def _trade(trade: Mapping[str, Any], kind: str) -> dict[str, Any]:
    value = Decimal(trade["price"]) * Decimal(trade["quantity"])
    return {
        "trade_id": trade["sequence"],
        "price": trade["price"],
        "base_volume": trade["quantity"],
        "target_volume": plain(value),
        "trade_timestamp": int(datetime.fromisoformat(trade["createdAt"]).timestamp() * 1000),
        "type": kind,
    }
