"""Cancel an order and place another one: `order/cancelReplace`.

With us both are one command, which cancels the old order or rejects the new one: that is STOP_ON_FAILURE. With
ALLOW_FAILURE the new order is also placed where the old one is closed already; where the old one is filled while the
command waits, the new one is not, because the command was given to replace it.
"""

from functools import partial
from typing import Any, NamedTuple

from rest_framework.request import Request
from rest_framework.response import Response

from base.web.authentication import caller_id
from base.web.errors import ClientOrderIdReused, ExchangeError, Unavailable
from base.web.keys.scopes import TRADE
from binance_api.calls import Endpoint, SignedView
from binance_api.errors import NO_FUNDS, UNKNOWN_ORDER, Refused, answer_of
from binance_api.found_orders import ANY_NAME, named_order, new_name
from binance_api.order_form import NEW_ID, NEW_ORDER, read_terms
from binance_api.order_views import RESTRICTIONS, UNKNOWN, is_stored, refuse_restricted, refuse_to_trigger
from binance_api.outcomes import answer_in_time, cancelled_body, placed_body, refused, rejection, still
from binance_api.parameters import Parameter, Values, number, word
from binance_api.usage import add_orders
from core.types import Reason, Status
from orders import log
from orders.models import Order
from orders.placing import OrderRequest, place_order
from orders.replacing import replace_order
from orders.terms import Accepted
from orders.waiting import Shown

STOP_ON_FAILURE, ALLOW_FAILURE = "STOP_ON_FAILURE", "ALLOW_FAILURE"
SUCCESS, FAILURE, NOT_ATTEMPTED = "SUCCESS", "FAILURE", "NOT_ATTEMPTED"
FAILED, FAILED_IN_PART = "Order cancel-replace failed.", "Order cancel-replace partially failed."
_MODES = {mode: mode for mode in (STOP_ON_FAILURE, ALLOW_FAILURE)}
_CALLED_ID, _CALLED_NAME = "cancelOrderId", "cancelOrigClientOrderId"
_REPLACING = (
    Parameter("cancelReplaceMode", word(_MODES), is_required=True),
    Parameter(_CALLED_ID, number),
    Parameter(_CALLED_NAME, ANY_NAME),
    Parameter("cancelNewClientOrderId", NEW_ID),
    RESTRICTIONS,
)


class Asked(NamedTuple):
    """What the answer needs: the order to cancel, what its client calls the cancel, and which answer it wants."""

    old: Order
    cancel_id: str
    answer: str


class CancelReplaceView(SignedView):
    @Endpoint(TRADE, 1, (*NEW_ORDER, *_REPLACING))
    def post(self, request: Request, asked: Values) -> Response:
        market, terms, owner_id = asked["symbol"], read_terms(asked), caller_id(request)
        refuse_to_trigger(owner_id, market, terms)
        wanted, may_fail = OrderRequest(owner_id, market, terms), asked["cancelReplaceMode"] == ALLOW_FAILURE
        answer = asked["newOrderRespType"] or asked["type"].answer
        try:
            old = _to_cancel(owner_id, asked, is_repeat=is_stored(owner_id, terms))
        except Refused as refusal:
            return self._without_cancel(request, wanted, answer, refusal, may_fail=may_fail)
        try:
            placed = replace_order(old.id, wanted)
        except ClientOrderIdReused as error:
            if old.active or not may_fail:
                raise _failed(NOT_ATTEMPTED, None, FAILURE, answer_of(error).body) from error
            # It was placed without a cancel.
            return self._without_cancel(request, wanted, answer, Refused(*UNKNOWN), may_fail=may_fail)
        except Unavailable:
            raise
        except ExchangeError as error:
            # The old order is as it was.
            raise _failed(NOT_ATTEMPTED, None, FAILURE, answer_of(error).body) from error
        self._count(request, placed)
        known = Asked(old, asked["cancelNewClientOrderId"] or new_name(), answer)
        return answer_in_time(request, placed.order, partial(outcome, known), lambda: _both(known, placed.order))

    def _without_cancel(
        self, request: Request, wanted: OrderRequest, answer: str, refusal: Refused, *, may_fail: bool
    ) -> Response:
        """The order that should be cancelled is not there. Raises Refused, in any case."""
        if refusal.number not in (-2011, -2013) or not may_fail:
            if refusal.number == -1102:
                raise refusal
            raise _failed(FAILURE, answer_of(refusal).body, NOT_ATTEMPTED, None)
        try:
            placed = place_order(wanted.user_id, wanted.market, wanted.terms)
        except Unavailable:
            raise
        except ExchangeError as error:
            raise _failed(FAILURE, answer_of(refusal).body, FAILURE, answer_of(error).body) from error
        self._count(request, placed)
        new = placed_body(answer, placed.order)
        raise _failed(FAILURE, answer_of(refusal).body, SUCCESS, new)

    def _count(self, request: Request, placed: Accepted) -> None:
        log.order_placed(placed)
        if not placed.is_repeated:
            self.use_headers |= add_orders(caller_id(request), 1)


def _to_cancel(owner_id: int, asked: Values, *, is_repeat: bool) -> Order:
    """Raises Refused where it is not there, is closed, or is not what alone is to be cancelled. For a repeat it may be
    closed: by the first request, whose answer may have been lost.
    """
    market = asked["symbol"]
    order = named_order(owner_id, market, asked, by_id=_CALLED_ID, by_name=_CALLED_NAME, missing=UNKNOWN)
    if is_repeat:
        return order
    if not order.active:
        raise Refused(*UNKNOWN)
    refuse_restricted(order, asked["cancelRestrictions"])
    return order


def outcome(asked: Asked, new: Order) -> Shown | None:
    """What became of both, once the worker has applied the command."""
    if new.status == Status.PENDING:
        return None
    if new.status == Status.FAILED:
        return refused(_after_a_defect(asked))
    if new.status == Status.REJECTED and new.reason == Reason.NOTHING_TO_REPLACE:
        return refused(_failed(FAILURE, answer_of(Refused(-2011, UNKNOWN_ORDER)).body, NOT_ATTEMPTED, None))
    if new.status == Status.REJECTED and (refusal := _refusal(new)) is not None:
        return refused(_failed(SUCCESS, _cancelled(asked), FAILURE, answer_of(refusal).body))
    return Shown(200, _both(asked, new))


def _after_a_defect(asked: Asked) -> Refused:
    """The engine gave the command up, before the old order was cancelled or after it."""
    unknown = answer_of(ExchangeError("")).body
    if still([asked.old])[0].active:
        return _failed(FAILURE, unknown, NOT_ATTEMPTED, None)
    return _failed(SUCCESS, _cancelled(asked), FAILURE, unknown)


def _refusal(new: Order) -> Refused | None:
    if new.reason == Reason.INSUFFICIENT_FUNDS:
        return Refused(-2010, NO_FUNDS)
    return rejection(new)


def _both(asked: Asked, new: Order) -> dict[str, Any]:
    return {
        "cancelResult": SUCCESS,
        "newOrderResult": SUCCESS,
        "cancelResponse": _cancelled(asked),
        "newOrderResponse": placed_body(asked.answer, new),
    }


def _cancelled(asked: Asked) -> dict[str, Any]:
    return cancelled_body(asked.cancel_id, still([asked.old])[0])


def _failed(cancel: str, cancelled: dict[str, Any] | None, new: str, placed: dict[str, Any] | None) -> Refused:
    """One of the two was not done, or neither."""
    data = {
        "cancelResult": cancel,
        "newOrderResult": new,
        "cancelResponse": cancelled,
        "newOrderResponse": placed,
    }
    if SUCCESS in (cancel, new):
        return Refused(-2021, FAILED_IN_PART, 409, data=data)
    return Refused(-2022, FAILED, 400, data=data)
