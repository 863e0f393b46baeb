"""Tickers of one market, of some and of all, and what clients read first: `exchangeInfo`."""

from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from base.web.keys.scopes import PUBLIC
from binance_api import exchange_info
from binance_api.calls import BinanceView, Endpoint
from binance_api.errors import Refused
from binance_api.parameters import FLAG, ONE_SYMBOL, SOME_SYMBOLS, Parameter, Values, not_together, not_valid, word
from binance_api.representation import milliseconds
from binance_api.tickers import book_ticker, full_tickers, mini_ticker, price_ticker, read_tickers
from binance_api.tops import read_tops
from marketdata.tape import last_trades
from markets.models import Market
from markets.services import public_markets

_STATUSES = {status: status for status in exchange_info.STATUSES}
_STATUS = Parameter("symbolStatus", word(_STATUSES, Refused(-1122, "Invalid symbolStatus.")))
_KINDS = {"FULL": "FULL", "MINI": "MINI"}
_KIND = Parameter("type", word(_KINDS, Refused(-1139, "Invalid ticker type.")), default="FULL")
_BY_SYMBOL = (ONE_SYMBOL, SOME_SYMBOLS, _STATUS)


def named_markets(asked: Values) -> list[Market] | None:
    """The markets that are asked for; None for all."""
    if asked["symbol"] is not None and asked["symbols"] is not None:
        raise not_together()
    return asked["symbols"] if asked["symbol"] is None else [asked["symbol"]]


def _symbols(asked: Values) -> list[str] | None:
    named = named_markets(asked)
    if asked["symbolStatus"] is None:
        return None if named is None else [market.symbol for market in named]
    among = list(public_markets()) if named is None else named
    return [market.symbol for market in among if exchange_info.market_status(market) == asked["symbolStatus"]]


def _answer(asked: Values, found: Sequence[dict[str, Any]]) -> Response:
    """One market's alone, or a list."""
    return Response(found[0] if asked["symbol"] is not None and found else found)


def _day_weight(asked: Values) -> int:
    return _weight_by_symbols(asked, 2, ((20, 2), (100, 40)), 80)


def _price_weight(asked: Values) -> int:
    return _weight_by_symbols(asked, 2, (), 4)


def _weight_by_symbols(asked: Values, one: int, steps: Sequence[tuple[int, int]], all_of_them: int) -> int:
    """Binance's weights, by how many markets are asked for."""
    if asked["symbol"] is not None:
        return one
    if asked["symbols"] is None:
        return all_of_them
    return next((weight for most, weight in steps if len(asked["symbols"]) <= most), all_of_them)


class DayTickerView(BinanceView):
    @Endpoint(PUBLIC, _day_weight, (*_BY_SYMBOL, _KIND))
    def get(self, request: Request, asked: Values) -> Response:
        found = read_tickers(_symbols(asked))
        if asked["type"] == "FULL":
            return _answer(asked, full_tickers(found))
        last, now = last_trades(each["symbol"] for each in found), timezone.now()
        return _answer(asked, [mini_ticker(each, last.get(each["symbol"]), now) for each in found])


class PriceView(BinanceView):
    @Endpoint(PUBLIC, _price_weight, _BY_SYMBOL)
    def get(self, request: Request, asked: Values) -> Response:
        return _answer(asked, [price_ticker(each) for each in read_tickers(_symbols(asked))])


class BookTickerView(BinanceView):
    @Endpoint(PUBLIC, _price_weight, _BY_SYMBOL)
    def get(self, request: Request, asked: Values) -> Response:
        symbols = _symbols(asked)
        if symbols is None:
            symbols = list(public_markets().values_list("symbol", flat=True))
        tops = read_tops(symbols)
        return _answer(asked, [book_ticker(symbol, tops.get(symbol)) for symbol in symbols])


def _permissions(name: str, given: str) -> list[str]:
    """One word, or a list of them. There is one kind of trading."""
    named = [each.strip('" ') for each in given.strip("[]").split(",")]
    if named != [exchange_info.SPOT]:
        raise not_valid(name)
    return named


class ExchangeInfoView(BinanceView):
    @Endpoint(
        PUBLIC,
        20,
        (
            *_BY_SYMBOL,
            Parameter("permissions", _permissions),
            Parameter("showPermissionSets", FLAG, default=True),
        ),
    )
    def get(self, request: Request, asked: Values) -> Response:
        named = named_markets(asked)
        if named is not None and (asked["permissions"] or asked["symbolStatus"]):
            raise not_together()
        listed = list(public_markets().select_related("base", "quote")) if named is None else named
        if asked["symbolStatus"] is not None:
            listed = [market for market in listed if exchange_info.market_status(market) == asked["symbolStatus"]]
        return Response(
            {
                "timezone": "UTC",
                "serverTime": milliseconds(timezone.now()),
                "rateLimits": exchange_info.rate_limits(),
                "exchangeFilters": [],
                "symbols": [_shown(market, with_sets=asked["showPermissionSets"]) for market in listed],
            }
        )


def _shown(market: Market, *, with_sets: bool) -> dict[str, Any]:
    info = exchange_info.symbol_info(market)
    if not with_sets:
        del info["permissionSets"]
    return info
