"""One order over REST: read, amended, cancelled, and replaced by another."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer, body
from base.web.authentication import caller_id
from base.web.errors import (
    AccountBlocked,
    InsufficientFunds,
    LimitExceeded,
    MarketBusy,
    MarketNotTrading,
    OrderClosed,
    PermissionRequired,
    TooManyWaiting,
)
from base.web.keys.scopes import READ, TRADE
from base.web.openapi.operations import Call
from base.web.queries import OLD_USER_ID
from orders import answers, log
from orders.amending import AmendForm, amend_order
from orders.cancelling import cancel_by_id
from orders.errors import InGroup, NothingToAmend
from orders.placing import OrderRequest
from orders.query import acting, as_of_order, known_id, own_order
from orders.replacing import replace_order
from orders.representation import represent_accepted
from orders.terms import OrderForm, read_order
from orders.trails import show_order
from orders.views import PLACING, TAG

AMEND_ACCEPTED = "Amend accepted for processing"
_BETTER = {"symbol": "BTC-USD", "side": "BUY", "type": "LIMIT", "price": "30100", "quantity": "0.5"}


class OrderView(APIView):
    @Call(TAG, "readOrder", "An order", answers.Order, query=(OLD_USER_ID,), as_of=True, scope=READ)
    def get(self, request: Request, order_id: str) -> Response:
        order = own_order(request, order_id)
        return answer(show_order(order), as_of=as_of_order(order))

    @Call(
        *(TAG, "cancelOrder", "Cancel an order", answers.AcceptedCancel),
        scope=TRADE,
        text=(
            "The cancel is queued behind what came before it; the outcome is an event. Staff with the permission"
            " `orders.cancel_for_others` cancel anybody's."
        ),
        status=202,
        query=(OLD_USER_ID,),
        refusals=(OrderClosed, PermissionRequired),
    )
    def delete(self, request: Request, order_id: str) -> Response:
        return cancel_by_id(request, order_id)

    @Call(
        *(TAG, "amendOrder", "Amend an order", answers.AcceptedAmend),
        scope=TRADE,
        text=(
            "What is sent changes, the rest stays. A new price and a larger quantity put the order at the end of its"
            " level, and one that crosses trades as a taker; whatever else changes, it keeps its place. What it needs"
            " beyond its frozen funds is frozen at once. The amend is queued behind what came before it; its outcome is"
            " an event with reason `AMENDED`, or `AMEND_REFUSED` with everything as it was."
        ),
        status=202,
        body=AmendForm,
        examples={"another price": {"price": "30100"}, "less": {"quantity": "0.2"}},
        refusals=(
            *("FIELD_NOT_ALLOWED", "PRICE_OFF_TICK", "PRICE_TOO_LARGE", "PRICE_OUT_OF_BAND", "QUANTITY_OFF_LOT"),
            "EXPIRY_TOO_SOON",
            *("QUANTITY_TOO_SMALL", "QUANTITY_TOO_LARGE", "NOTIONAL_TOO_SMALL", "NOTIONAL_TOO_LARGE"),
            *("DISPLAY_QUANTITY_TOO_SMALL", "DISPLAY_QUANTITY_TOO_LARGE"),
            *("DISPLAY_QUANTITY_TOO_LARGE", "DISPLAY_QUANTITY_TOO_SMALL", "EXPIRY_TOO_SOON"),
            *("QUANTITY_BELOW_FILLED", NothingToAmend, OrderClosed, InsufficientFunds, MarketNotTrading, MarketBusy),
            *(TooManyWaiting, AccountBlocked, LimitExceeded),
        ),
    )
    def patch(self, request: Request, order_id: str) -> Response:
        log.amend_asked(order_id)
        order = amend_order(caller_id(request), known_id(order_id), AmendForm.read(body(request)).sent())
        log.amend_accepted(order)
        accepted: answers.AcceptedAmend = {"orderId": order.id, "status": order.status, "message": AMEND_ACCEPTED}
        return answer(accepted, message=AMEND_ACCEPTED, code=202)


class ReplaceView(APIView):
    @Call(
        *(TAG, "replaceOrder", "Cancel an order and place another one", answers.ReplacingOrder),
        scope=TRADE,
        text=(
            "The body is that of a new order in the same market; `quantity` is its own, whatever the old one filled."
            " Both happen at one place of the market's sequence, and the new order may use what the old one had frozen."
            " If the old one is closed by then, the new one is REJECTED with reason `NOTHING_TO_REPLACE`; if its funds"
            " do not suffice by then, the old one is cancelled and the new one REJECTED with `INSUFFICIENT_FUNDS`. The"
            " same `clientOrderId` with the same body answers as the first time."
        ),
        status=202,
        body=OrderForm,
        examples={"a better price": _BETTER},
        replayable=True,
        refusals=(*PLACING, "OTHER_SYMBOL", InGroup),
    )
    def post(self, request: Request, order_id: str) -> Response:
        log.order_asked(body(request))
        old_id = known_id(order_id)
        market, wanted, user_id = read_order(body(request))
        owner_id, actor = acting(request, user_id)
        placed = replace_order(old_id, OrderRequest(owner_id, market, wanted, actor=actor))
        log.order_placed(placed)
        return answer(
            {**represent_accepted(placed.order), "replaces": old_id},
            message="Order accepted for processing",
            code=202,
            replayed=placed.is_repeated,
        )
