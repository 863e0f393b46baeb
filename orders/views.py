"""Orders over REST."""

from functools import partial

from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.streams import TICKET_SECONDS, issue_ticket, stats
from base.web.answers import answer, body
from base.web.authentication import IsStaff, caller_id, own_user_id
from base.web.errors import ExchangeError, InvalidField, MarketNotFound, OrderNotFound
from base.web.forms import parse_id, printable
from base.web.pages import read_page
from core.types import ACTIVE_PHASES, Phase, Status
from markets.models import Market, Trade
from markets.services import find_market
from orders import api_docs, log, services
from orders.forms import read_batch, read_order
from orders.models import Order, OrderEvent
from orders.placing import OrderRequest, place_order, place_orders
from orders.representation import (
    represent_accepted,
    represent_event,
    represent_fill,
    represent_order,
    represent_result,
)
from orders.terms import OrderTerms
from users.services import find_user


@extend_schema_view(post=api_docs.PLACE_ORDER, get=api_docs.LIST_ORDERS, delete=api_docs.CANCEL_ORDERS)
class OrdersView(APIView):
    def post(self, request: Request) -> Response:
        log.order_asked(body(request))
        market, wanted, user_id = read_order(body(request))
        placed = place_order(_account(request, user_id), market, wanted)
        log.order_placed(placed)
        return answer(
            represent_accepted(placed.order),
            message="Order accepted for processing",
            code=202,
            replayed=placed.is_repeated,
        )

    def get(self, request: Request) -> Response:
        return read_page(request, _filtered(request), represent_order)

    def delete(self, request: Request) -> Response:
        # A filter that is misspelled must not cancel everything.
        for name in request.query_params.keys() - {"symbol", "userId"}:
            raise InvalidField(printable(name), "FIELD_UNKNOWN", f"{printable(name)} is not a filter here")
        symbol = request.query_params.get("symbol")
        if symbol is not None and find_market(symbol) is None:
            raise MarketNotFound(f"there is no market {printable(symbol)}")
        cancelled = services.cancel_orders(_owner(request), symbol)
        return answer({"cancelled": cancelled}, message="Cancels accepted for processing", code=202)


@extend_schema_view(post=api_docs.PLACE_ORDERS)
class BatchView(APIView):
    def post(self, request: Request) -> Response:
        asked = [_asked(request, each) for each in read_batch(body(request))]
        results = place_orders(asked)
        log.orders_placed(results)
        return answer(
            {"results": [represent_result(result) for result in results]}, message="Batch processed", code=202
        )


@extend_schema_view(get=api_docs.READ_ORDER, delete=api_docs.CANCEL_ORDER)
class OrderView(APIView):
    def get(self, request: Request, order_id: str) -> Response:
        return answer(represent_order(own_order(request, order_id)))

    def delete(self, request: Request, order_id: str) -> Response:
        log.cancel_asked(order_id)
        order = services.cancel_order(_owner(request), _known_id(order_id))
        log.cancel_accepted(order)
        message = "Cancel accepted for processing"
        data = {"orderId": order.id, "status": order.status, "message": message}
        return answer(data, message=message, code=202)


@extend_schema_view(get=api_docs.READ_ORDER_BY_KEY)
class ClientOrderView(APIView):
    def get(self, request: Request, client_order_id: str) -> Response:
        order = Order.objects.filter(user_id=_owner(request), client_order_id=client_order_id).first()
        if order is None:
            raise OrderNotFound(f"there is no order with clientOrderId {printable(client_order_id)}")
        return answer(represent_order(order))


@extend_schema_view(get=api_docs.READ_FILLS)
class FillsView(APIView):
    def get(self, request: Request, order_id: str) -> Response:
        order = own_order(request, order_id)
        fills = Trade.objects.filter(Q(buy_order_id=order.id) | Q(sell_order_id=order.id)).select_related("market")
        return read_page(request, fills, partial(represent_fill, order), oldest_first=True)


@extend_schema_view(get=api_docs.READ_TIMELINE)
class TimelineView(APIView):
    def get(self, request: Request, order_id: str) -> Response:
        events = OrderEvent.objects.filter(order=own_order(request, order_id))
        return read_page(request, events, represent_event, oldest_first=True)


@extend_schema_view(post=api_docs.ISSUE_TICKET)
class TicketView(APIView):
    def post(self, request: Request) -> Response:
        ticket = issue_ticket(caller_id(request))
        return answer({"ticket": ticket, "expiresIn": TICKET_SECONDS}, message="Ticket issued", code=201)


@extend_schema_view(get=api_docs.READ_STREAM_STATS)
class StreamStatsView(APIView):
    permission_classes = [IsStaff]

    def get(self, request: Request) -> Response:
        return answer(stats())


def own_order(request: Request, order_id: str) -> Order:
    """The order that the path names, the caller's own; staff see everybody's. Raises OrderNotFound."""
    wanted = _known_id(order_id)
    try:
        return services.find_order(caller_id(request), wanted)
    except OrderNotFound:
        # Asked last: whether the caller is staff is another query.
        order = Order.objects.filter(id=wanted).first() if request.user.is_staff else None
        if order is None:
            raise
        return order


def _known_id(order_id: str) -> int:
    wanted = parse_id(order_id)
    if wanted is None:
        raise OrderNotFound(f"there is no order {printable(order_id)}")
    return wanted


def _owner(request: Request) -> int:
    """Whose orders: the caller's, or for staff those of the userId in the query. Raises NotYourAccount."""
    asked_for = request.query_params.get("userId")
    if asked_for is None:
        return caller_id(request)
    return _account(request, parse_id(asked_for) or 0)


def _account(request: Request, asked_for: int | None) -> int:
    """The account to act for. Raises NotYourAccount, and for staff UserNotFound."""
    user_id = own_user_id(request, asked_for)
    return user_id if user_id == caller_id(request) else find_user(user_id).id


def _asked(
    request: Request, each: tuple[Market, OrderTerms, int | None] | ExchangeError
) -> OrderRequest | ExchangeError:
    """One order of a batch, with the account that it is for; or its refusal."""
    if isinstance(each, ExchangeError):
        return each
    market, wanted, user_id = each
    try:
        return OrderRequest(_account(request, user_id), market, wanted)
    except ExchangeError as error:
        return error


def _filtered(request: Request) -> QuerySet[Order]:
    """The caller's orders, narrowed by the query. Raises InvalidField."""
    orders = Order.objects.filter(user_id=_owner(request))
    query = request.query_params
    if "symbol" in query:
        orders = orders.filter(market_id=query["symbol"])
    if "status" in query:
        if query["status"] not in Status.__members__:
            known = ", ".join(Status.__members__)
            raise InvalidField("status", "INVALID_CHOICE", f"status must be one of {known}")
        orders = orders.filter(status=query["status"])
    if "active" in query:
        if query["active"] not in ("true", "false"):
            raise InvalidField("active", "INVALID_CHOICE", "active must be true or false")
        orders = orders.filter(phase__in=ACTIVE_PHASES if query["active"] == "true" else [Phase.CLOSED])
    return orders
