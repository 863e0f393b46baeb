"""What happened to orders, over REST: their fills and their timelines."""

from functools import partial

from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.views import APIView

from base.web.errors import OrderNotFound
from base.web.exports import Export
from base.web.keys.scopes import READ
from base.web.lists import answer_page, in_window, read_page
from base.web.openapi.operations import Call
from base.web.queries import OLD_USER_ID, WINDOW, Query, parameters
from base.web.rules import IDENTIFIER
from markets.models import Market, Trade
from markets.newest import newest_events_of
from orders import answers
from orders.fills import Half, halves_of_order, halves_of_user, newest_fills
from orders.models import OrderEvent
from orders.query import OF_MARKET, as_of_order, named_market, own_order, owner_of
from orders.representation import represent_event, represent_fill
from orders.services import find_order

TAG = "orders"


class OrderFillsView(APIView):
    @Call(
        *(TAG, "readFills", "An order's fills, oldest first", list[answers.Fill]),
        scope=READ,
        query=(OLD_USER_ID,),
        paged=True,
        as_of=True,
    )
    def get(self, request: Request, order_id: str) -> HttpResponseBase:
        order = own_order(request, order_id)
        ((side, of, _),) = halves_of_order(order)
        fills = Trade.objects.filter(**of).select_related("market")
        represent = partial(represent_fill, side)
        return read_page(request, fills, represent, oldest_first=True, as_of=as_of_order(order))


class FillsView(APIView):
    @Call(
        *(TAG, "listFills", "Own fills of all orders, newest first", list[answers.Fill]),
        scope=READ,
        text="A trade with oneself is two fills.",
        query=(
            OF_MARKET,
            Query("orderId", IDENTIFIER, "Those of this order.", (OrderNotFound,)),
            *WINDOW,
            OLD_USER_ID,
        ),
        paged=True,
        as_of=True,
        csv=Export("fills.csv", answers.Fill),
    )
    def get(self, request: Request) -> HttpResponseBase:
        symbol = named_market(request)
        halves = _halves(request, owner_of(request), symbol)
        as_of = newest_events_of(symbol)
        return answer_page(request, newest_fills(in_window(request, Trade.objects.all()), halves), as_of=as_of)


class TimelineView(APIView):
    @Call(
        *(TAG, "readTimeline", "An order's timeline, oldest first", list[answers.OrderEvent]),
        scope=READ,
        query=(OLD_USER_ID,),
        paged=True,
        as_of=True,
    )
    def get(self, request: Request, order_id: str) -> HttpResponseBase:
        order = own_order(request, order_id)
        events = OrderEvent.objects.filter(order=order)
        return read_page(request, events, represent_event, oldest_first=True, as_of=as_of_order(order))


def _halves(request: Request, user_id: int, symbol: str | None) -> list[Half]:
    """What the query asks for. Raises OrderNotFound."""
    order_id = parameters(request)["order_id"]
    if order_id is None:
        symbols = Market.objects.order_by("pk").values_list("pk", flat=True) if symbol is None else [symbol]
        return halves_of_user(user_id, symbols)
    order = find_order(user_id, order_id)
    return halves_of_order(order) if symbol in (None, order.market_id) else []
