"""The feed for other systems over REST: what a consumer missed, from the rows."""

from collections.abc import Iterable

from pydantic_core import PydanticCustomError, core_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer
from base.web.authentication import Holds
from base.web.keys.scopes import OWNER
from base.web.openapi.operations import Call
from base.web.queries import Query, limit, parameters
from base.web.rules import Rule
from base.web.values import parse_id
from markets.services import known_market
from matching.feed import Entry, read_orders, read_trades
from operations import answers

TAG = "operations"


def _read_number(text: str) -> int:
    number = 0 if text == "0" else parse_id(text)
    if number is None:
        raise PydanticCustomError("no_number", "not a number")
    return number


_NUMBER = Rule(
    core_schema.no_info_plain_validator_function(_read_number),
    {"no_number": ("INVALID_CURSOR", "must be the id of the last entry that was received, or 0")},
    {"type": "integer", "minimum": 0, "default": 0},
)
_AFTER = Query("after", _NUMBER, "The `id` of the last entry that was received.", default=0)
_TEXT = "Oldest first, without a gap: the next page is `after` the last one's id, and an empty page is the end."


class OrderFeedView(APIView):
    permission_classes = [Holds.permission("operations.view")]

    @Call(
        *(TAG, "readOrderFeed", "Order updates of a market", list[answers.OrderEntry]),
        scope=OWNER,
        text=_TEXT,
        query=(_AFTER, limit()),
    )
    def get(self, request: Request, symbol: str) -> Response:
        asked = parameters(request)
        return _answer(read_orders(known_market(symbol).symbol, asked["after"], asked["limit"]))


class TradeFeedView(APIView):
    permission_classes = [Holds.permission("operations.view")]

    @Call(
        *(TAG, "readTradeFeed", "Trades of a market, with their orders", list[answers.TradeEntry]),
        scope=OWNER,
        text=_TEXT,
        query=(_AFTER, limit()),
    )
    def get(self, request: Request, symbol: str) -> Response:
        asked = parameters(request)
        return _answer(read_trades(known_market(symbol).symbol, asked["after"], asked["limit"]))


def _answer(entries: Iterable[Entry]) -> Response:
    return answer([{"id": number, "event": event, "data": data} for number, event, data in entries])
