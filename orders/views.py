"""Orders over REST."""

import math

from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.streams import TICKET_SECONDS, issue_ticket, stats
from base.web.answers import answer, body
from base.web.authentication import Holds, credential_of
from base.web.errors import (
    AccountBlocked,
    BatchesBusy,
    ClientOrderIdReused,
    ExchangeError,
    InsufficientFunds,
    LimitExceeded,
    MarketBusy,
    MarketNotTrading,
    NotYourAccount,
    OrderClosed,
    PermissionRequired,
    TooManyOpenOrders,
    TooManyWaiting,
    UserNotFound,
)
from base.web.exports import Export
from base.web.keys.scopes import OWNER, READ, TRADE
from base.web.lists import answer_page, by_index, in_window
from base.web.middleware import weigh
from base.web.openapi.operations import Call
from base.web.queries import OLD_USER_ID, WINDOW, parameters
from core.types import Status
from markets.models import Market
from markets.newest import newest_events_of
from orders import answers, log, services
from orders.cancelling import cancel_all, cancel_by_key
from orders.errors import FateImpossible, NotInAuction, SandboxReject
from orders.long_requests import batch_of
from orders.models import Order
from orders.placing import OrderRequest, place_order, place_orders
from orders.query import (
    FILTERS,
    OF_MARKET,
    OF_SIDE,
    acting,
    as_of_order,
    in_states,
    named_market,
    narrowing,
    owner_of,
)
from orders.representation import (
    represent_accepted,
    represent_order,
    represent_result,
)
from orders.terms import BATCH_LIMIT, BatchForm, OrderForm, OrderTerms, read_batch, read_order
from orders.trails import set_stop_prices, show_order
from orders.waiting import WAIT, wait_for

TAG, STREAMS = "orders", "streams"
# So many orders of a batch cost as much as a request.
ORDERS_PER_REQUEST = 10
# Why an order is not accepted.
PLACING = (
    *("FIELD_NOT_ALLOWED", "MARKET_NOT_FOUND", "PRICE_OFF_TICK", "PRICE_TOO_LARGE", "QUANTITY_OFF_LOT"),
    *("PRICE_OUT_OF_BAND", SandboxReject, FateImpossible),
    *("QUANTITY_TOO_SMALL", "QUANTITY_TOO_LARGE", "NOTIONAL_TOO_SMALL", "NOTIONAL_TOO_LARGE"),
    *("DISPLAY_QUANTITY_TOO_SMALL", "DISPLAY_QUANTITY_TOO_LARGE"),
    *("QUOTE_QUANTITY_OFF_SCALE", "EXPIRY_TOO_SOON"),
    *(InsufficientFunds, TooManyOpenOrders, NotYourAccount, UserNotFound),
    *(
        MarketNotTrading,
        NotInAuction,
        ClientOrderIdReused,
        MarketBusy,
        TooManyWaiting,
        AccountBlocked,
        LimitExceeded,
    ),
    PermissionRequired,
)
_LIMIT = {"symbol": "BTC-USD", "side": "BUY", "type": "LIMIT", "price": "30000", "quantity": "0.5"}
_BY_QUANTITY = {"symbol": "BTC-USD", "side": "BUY", "type": "MARKET", "quantity": "0.5"}
_BY_BUDGET = {"symbol": "BTC-USD", "side": "BUY", "type": "MARKET", "quoteQuantity": "500"}


class OrdersView(APIView):
    @Call(
        *(TAG, "placeOrder", "Place an order", answers.AcceptedOrder),
        scope=TRADE,
        text=(
            "202 means that the order and its frozen funds are stored; what becomes of it is an event. `price` is for"
            " LIMIT and required there, `timeInForce` and `postOnly` are for LIMIT, `postOnly` for GTC and GTD alone;"
            " `quantity` is required except for a MARKET BUY that gives `quoteQuantity`, a budget, in its place. The"
            " same `clientOrderId` with the same body answers as the first time. With `wait` the answer is 200 with the"
            " order as soon as its outcome is known, and 202 where that takes longer or too many wait."
        ),
        status=202,
        instead={200: answers.Order},
        instead_as_of=True,
        query=(WAIT,),
        body=OrderForm,
        examples={"limit": _LIMIT | {"clientOrderId": "bot-1"}, "market": _BY_QUANTITY, "a budget": _BY_BUDGET},
        replayable=True,
        refusals=PLACING,
    )
    def post(self, request: Request) -> Response:
        log.order_asked(body(request))
        market, wanted, user_id = read_order(body(request))
        owner_id, actor = acting(request, user_id)
        placed = place_order(owner_id, market, wanted, actor=actor)
        log.order_placed(placed)
        # Who places for another need not be allowed to look.
        if actor is None and (wait := parameters(request)["wait"]):
            if placed.is_repeated and placed.order.status != Status.PENDING:
                return _known(owner_id, placed.order.id)
            wait_for(request, placed.order, wait)
        return answer(
            represent_accepted(placed.order),
            message="Order accepted for processing",
            code=202,
            replayed=placed.is_repeated,
        )

    @Call(
        *(TAG, "listOrders", "Own orders, newest first", list[answers.Order]),
        scope=READ,
        query=(
            *FILTERS,
            *WINDOW,
            OLD_USER_ID,
        ),
        paged=True,
        as_of=True,
        csv=Export("orders.csv", answers.Order),
    )
    def get(self, request: Request) -> HttpResponseBase:
        mine = in_window(request, Order.objects.filter(user_id=owner_of(request)))
        symbol = named_market(request)
        as_of = newest_events_of(symbol)
        states, index = in_states(request)
        read = by_index(
            mine, index, represent_order, states=states, narrow=narrowing(request), complete=set_stop_prices
        )
        return answer_page(request, read, as_of=as_of)

    @Call(
        *(
            TAG,
            "cancelOrders",
            "Cancel all own open orders, or those of a market, or of a side",
            answers.AcceptedCancels,
        ),
        scope=TRADE,
        text=(
            "Each cancel is queued behind what came before it; the outcome is an event. Staff with the permission"
            " `orders.cancel_for_others` cancel those of the `userId`."
        ),
        status=202,
        query=(OF_MARKET, OF_SIDE, OLD_USER_ID),
        refusals=(PermissionRequired,),
    )
    def delete(self, request: Request) -> Response:
        return cancel_all(request)


class BatchView(APIView):
    @Call(
        *(TAG, "placeOrders", "Place up to 100 orders", answers.PlacedOrders),
        scope=TRADE,
        text=(
            "Each is accepted or refused on its own, with its own code, also where its form is broken. The answer is"
            " 202 even if all are refused. Under the rate limit it costs a tenth of a request for each order, rounded"
            " up. Of batches of more than 10 orders a process stores a few at the same time."
        ),
        status=202,
        body=BatchForm,
        examples={"two orders": {"orders": [_LIMIT, _BY_BUDGET]}},
        refusals=(BatchesBusy,),
    )
    def post(self, request: Request) -> Response:
        with batch_of(_length(request)):
            # Before the orders are read, because to read a hundred costs as much as ten requests.
            weigh(request, math.ceil(_length(request) / ORDERS_PER_REQUEST))
            asked = [_asked(request, each) for each in read_batch(body(request))]
            results = place_orders(asked)
        log.orders_placed(results)
        return answer(
            {"results": [represent_result(result) for result in results]}, message="Batch processed", code=202
        )


class ClientOrderView(APIView):
    @Call(
        TAG,
        "readOrderByKey",
        "An order by the client's own key",
        answers.Order,
        query=(OLD_USER_ID,),
        as_of=True,
        scope=READ,
    )
    def get(self, request: Request, client_order_id: str) -> Response:
        order = services.find_order_named(owner_of(request), client_order_id)
        return answer(show_order(order), as_of=as_of_order(order))

    @Call(
        *(TAG, "cancelOrderByKey", "Cancel an order by the client's own key", answers.AcceptedCancel),
        scope=TRADE,
        text="As by its id; staff name the user as well.",
        status=202,
        query=(OLD_USER_ID,),
        refusals=(OrderClosed, PermissionRequired),
    )
    def delete(self, request: Request, client_order_id: str) -> Response:
        return cancel_by_key(request, client_order_id)


class TicketView(APIView):
    @Call(
        *(STREAMS, "issueTicket", "A ticket for a browser's EventSource", answers.Ticket),
        scope=OWNER,
        text="It opens one stream of the caller's own orders, once, within 30 seconds.",
        status=201,
    )
    def post(self, request: Request) -> Response:
        issued: answers.Ticket = {"ticket": issue_ticket(credential_of(request)), "expiresIn": TICKET_SECONDS}
        return answer(issued, message="Ticket issued", code=201)


class StreamStatsView(APIView):
    permission_classes = [Holds.permission("operations.view")]

    @Call(
        *(STREAMS, "readStreamStats", "Who is connected", answers.StreamStats),
        scope=OWNER,
        text="Over all processes; while Redis is away, in the process that answers.",
    )
    def get(self, request: Request) -> Response:
        return answer(stats())


def _known(owner_id: int, order_id: int) -> Response:
    """The order that a repeat has placed before."""
    order = services.find_order(owner_id, order_id)
    return answer(show_order(order), replayed=True, as_of=as_of_order(order))


def _length(request: Request) -> int:
    """How many orders are sent; 0 where the batch is refused as a whole, which costs nothing."""
    sent = body(request).get("orders")
    return len(sent) if isinstance(sent, list) and len(sent) <= BATCH_LIMIT else 0


def _asked(
    request: Request, each: tuple[Market, OrderTerms, int | None] | ExchangeError
) -> OrderRequest | ExchangeError:
    """One order of a batch, with the account that it is for; or its refusal."""
    if isinstance(each, ExchangeError):
        return each
    market, wanted, user_id = each
    try:
        owner_id, actor = acting(request, user_id)
        return OrderRequest(owner_id, market, wanted, actor=actor)
    except ExchangeError as error:
        return error
