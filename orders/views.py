"""Orders over REST."""

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.streams import TICKET_SECONDS, issue_ticket, stats
from base.web.answers import answer, body
from base.web.authentication import IsStaff, caller_id, credential_of, own_user_id, permitted
from base.web.errors import (
    AccountBlocked,
    ClientOrderIdReused,
    ExchangeError,
    InsufficientFunds,
    LimitExceeded,
    MarketBusy,
    MarketNotFound,
    MarketNotTrading,
    NotYourAccount,
    OrderClosed,
    OrderNotFound,
    PermissionRequired,
    TooManyOpenOrders,
    UserNotFound,
)
from base.web.exports import Export
from base.web.forms import printable
from base.web.lists import in_window, read_page
from base.web.openapi.operations import Call
from base.web.queries import OLD_USER_ID, TRUE_OR_FALSE, WINDOW, Query, parameters
from base.web.rules import one_of
from base.web.values import AsOf, parse_id
from core.types import ACTIVE_PHASES, Phase, Side, Status, phases_of
from markets.answers import Symbol
from markets.models import Market
from markets.newest import newest_events, newest_events_of
from markets.services import known_market
from orders import answers, log, services
from orders.accounts import CANCEL_PERMISSION, cancel_order_as_operator
from orders.ids import order_ids
from orders.models import Order
from orders.placing import OrderRequest, place_order, place_orders
from orders.representation import (
    represent_accepted,
    represent_order,
    represent_result,
)
from orders.terms import BatchForm, OrderForm, OrderTerms, read_batch, read_order
from users.acts import actor_of
from users.services import find_user

TAG, STREAMS = "orders", "streams"
_LIMIT = {"symbol": "BTC-USD", "side": "BUY", "type": "LIMIT", "price": "30000", "quantity": "0.5"}
_BY_QUANTITY = {"symbol": "BTC-USD", "side": "BUY", "type": "MARKET", "quantity": "0.5"}
_BY_BUDGET = {"symbol": "BTC-USD", "side": "BUY", "type": "MARKET", "quoteQuantity": "500"}
OF_MARKET = Query("symbol", Symbol, "Those of this market.", (MarketNotFound,))


class OrdersView(APIView):
    @Call(
        *(TAG, "placeOrder", "Place an order", answers.AcceptedOrder),
        text=(
            "202 means that the order and its frozen funds are stored; what becomes of it is an event. `price` is for"
            " LIMIT and required there, `timeInForce` and `postOnly` are for LIMIT, `postOnly` for GTC alone;"
            " `quantity` is required except for a MARKET BUY that gives `quoteQuantity`, a budget, in its place. The"
            " same `clientOrderId` with the same body answers as the first time."
        ),
        status=202,
        body=OrderForm,
        examples={"limit": _LIMIT | {"clientOrderId": "bot-1"}, "market": _BY_QUANTITY, "a budget": _BY_BUDGET},
        replayable=True,
        refusals=(
            *("FIELD_NOT_ALLOWED", "MARKET_NOT_FOUND", "PRICE_OFF_TICK", "PRICE_TOO_LARGE", "QUANTITY_OFF_LOT"),
            "PRICE_OUT_OF_BAND",
            *("QUANTITY_TOO_SMALL", "QUANTITY_TOO_LARGE", "NOTIONAL_TOO_SMALL", "NOTIONAL_TOO_LARGE"),
            *("QUOTE_QUANTITY_OFF_SCALE", InsufficientFunds, TooManyOpenOrders, NotYourAccount, UserNotFound),
            *(MarketNotTrading, ClientOrderIdReused, MarketBusy, AccountBlocked, LimitExceeded),
        ),
    )
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

    @Call(
        *(TAG, "listOrders", "Own orders, newest first", list[answers.Order]),
        query=(
            OF_MARKET,
            Query("side", one_of(Side), "Those of this side."),
            Query("status", one_of(Status), "Those with this status."),
            Query("active", TRUE_OR_FALSE, "Those that can still trade, or cannot."),
            *WINDOW,
            OLD_USER_ID,
        ),
        paged=True,
        as_of=True,
        csv=Export("orders.csv", answers.Order),
    )
    def get(self, request: Request) -> HttpResponseBase:
        mine = in_window(request, Order.objects.filter(user_id=owner_of(request)))
        orders = _filtered(request, mine)
        symbol = parameters(request)["symbol"]
        as_of = newest_events() if symbol is None else newest_events_of(symbol)
        # Open orders are few, and must be found behind any number of closed ones.
        among = None if orders is mine or _are_open(request) else mine
        return read_page(request, orders, represent_order, among=among, as_of=as_of)

    @Call(
        *(TAG, "cancelOrders", "Cancel all own open orders", answers.AcceptedCancels),
        text="Each cancel is queued behind what came before it; the outcome is an event.",
        status=202,
        query=(OF_MARKET, OLD_USER_ID),
    )
    def delete(self, request: Request) -> Response:
        symbol = named_market(request)
        cancelled = services.cancel_orders(owner_of(request), symbol)
        accepted: answers.AcceptedCancels = {"cancelled": cancelled}
        return answer(accepted, message="Cancels accepted for processing", code=202)


class BatchView(APIView):
    @Call(
        *(TAG, "placeOrders", "Place up to 100 orders", answers.PlacedOrders),
        text=(
            "Each is accepted or refused on its own, with its own code, also where its form is broken. The answer is"
            " 202 even if all are refused."
        ),
        status=202,
        body=BatchForm,
        examples={"two orders": {"orders": [_LIMIT, _BY_BUDGET]}},
    )
    def post(self, request: Request) -> Response:
        asked = [_asked(request, each) for each in read_batch(body(request))]
        results = place_orders(asked)
        log.orders_placed(results)
        return answer(
            {"results": [represent_result(result) for result in results]}, message="Batch processed", code=202
        )


class OrderView(APIView):
    @Call(TAG, "readOrder", "An order", answers.Order, query=(OLD_USER_ID,), as_of=True)
    def get(self, request: Request, order_id: str) -> Response:
        order = own_order(request, order_id)
        return answer(represent_order(order), as_of=as_of_order(order))

    @Call(
        *(TAG, "cancelOrder", "Cancel an order", answers.AcceptedCancel),
        text=(
            "The cancel is queued behind what came before it; the outcome is an event. Staff with the permission"
            " `orders.cancel_for_others` cancel anybody's."
        ),
        status=202,
        query=(OLD_USER_ID,),
        refusals=(OrderClosed, PermissionRequired),
    )
    def delete(self, request: Request, order_id: str) -> Response:
        log.cancel_asked(order_id)
        order = _cancel(request, order_id)
        log.cancel_accepted(order)
        message = "Cancel accepted for processing"
        accepted: answers.AcceptedCancel = {"orderId": order.id, "status": order.status, "message": message}
        return answer(accepted, message=message, code=202)


class ClientOrderView(APIView):
    @Call(TAG, "readOrderByKey", "An order by the client's own key", answers.Order, query=(OLD_USER_ID,), as_of=True)
    def get(self, request: Request, client_order_id: str) -> Response:
        order = services.orders_as_of().filter(user_id=owner_of(request), client_order_id=client_order_id).first()
        if order is None:
            raise OrderNotFound(f"there is no order with clientOrderId {printable(client_order_id)}")
        return answer(represent_order(order), as_of=as_of_order(order))


class TicketView(APIView):
    @Call(
        *(STREAMS, "issueTicket", "A ticket for a browser's EventSource", answers.Ticket),
        text="It opens one stream of the caller's own orders, once, within 30 seconds.",
        status=201,
    )
    def post(self, request: Request) -> Response:
        issued: answers.Ticket = {"ticket": issue_ticket(credential_of(request)), "expiresIn": TICKET_SECONDS}
        return answer(issued, message="Ticket issued", code=201)


class StreamStatsView(APIView):
    permission_classes = [IsStaff]

    @Call(
        *(STREAMS, "readStreamStats", "Who is connected", answers.StreamStats),
        text="Over all processes; while Redis is away, in the process that answers.",
    )
    def get(self, request: Request) -> Response:
        return answer(stats())


def own_order(request: Request, order_id: str) -> Order:
    """The order that the path names: of the user whom the query names, else the caller's own; staff see everybody's.

    Raises OrderNotFound, NotYourAccount and UserNotFound.
    """
    wanted = _known_id(order_id)
    if parameters(request)["user_id"] is not None:
        return services.find_order(owner_of(request), wanted)
    try:
        return services.find_order(caller_id(request), wanted)
    except OrderNotFound:
        # Asked last: whether the caller is staff is another query.
        order = services.orders_as_of().filter(id=wanted).first() if request.user.is_staff else None
        if order is None:
            raise
        return order


def as_of_order(order: Order) -> AsOf:
    """What an answer about the order includes, and what is read after it."""
    return {order.market_id: order.newest_event}  # type: ignore[attr-defined]


def _cancel(request: Request, order_id: str) -> Order:
    """Cancel the caller's own order; staff with the permission anybody's. Raises OrderNotFound, PermissionRequired."""
    try:
        return services.cancel_order(owner_of(request), _known_id(order_id))
    except OrderNotFound:
        order = own_order(request, order_id)
    permitted(request, CANCEL_PERMISSION)
    return cancel_order_as_operator(order, actor_of(request))


def _known_id(order_id: str) -> int:
    wanted = parse_id(order_id)
    if wanted is None or not order_ids.may_exist(wanted):
        raise OrderNotFound(f"there is no order {printable(order_id)}")
    return wanted


def owner_of(request: Request) -> int:
    """Whose orders: the caller's, or for staff those of the userId in the query. Raises NotYourAccount."""
    asked_for = parameters(request)["user_id"]
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


def _filtered(request: Request, orders: QuerySet[Order]) -> QuerySet[Order]:
    """The orders, narrowed by the query. Raises MarketNotFound."""
    asked = parameters(request)
    wanted = {name: asked[name] for name in ("side", "status") if asked[name] is not None}
    symbol = named_market(request)
    if symbol is not None:
        wanted["market_id"] = symbol
    orders = orders.filter(**wanted) if wanted else orders
    if asked["status"] is not None:
        # It follows from the status, and the index of a user's orders begins with the phase.
        orders = orders.filter(phase__in=phases_of(Status(asked["status"])))
    if asked["active"] is not None:
        orders = orders.filter(phase__in=ACTIVE_PHASES if asked["active"] else [Phase.CLOSED])
    return orders


def _are_open(request: Request) -> bool:
    """Whether the query asks for open orders alone."""
    asked = parameters(request)
    return bool(asked["active"]) or asked["status"] in (Status.PENDING, Status.OPEN)


def named_market(request: Request) -> str | None:
    """The market that the query names, None for all. Raises MarketNotFound."""
    symbol = parameters(request)["symbol"]
    return None if symbol is None else known_market(symbol).symbol
