"""Two orders of which one cancels the other, over REST: `order/oco`, `orderList/oco` and the lists of such pairs."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from base.web.authentication import caller_id
from base.web.keys.scopes import READ, TRADE
from binance_api.calls import Endpoint, SignedView
from binance_api.errors import DUPLICATE, UNKNOWN_ORDER, Refused
from binance_api.found_orders import ANY_NAME, new_name
from binance_api.group_form import NEWER, OLDER, Wanted, read_newer, read_older
from binance_api.history import open_orders
from binance_api.order_form import ACK, NEW_ID, RESULT
from binance_api.order_views import cancel
from binance_api.outcomes import answer_in_time, cancelled_body, placed_body, refused, rejection, still
from binance_api.parameters import SYMBOL, Parameter, Values, number
from binance_api.representation import UNNAMED, client_order_id, milliseconds
from binance_api.symbols import binance_name
from binance_api.usage import add_orders
from core.types import Status
from orders.models import Order
from orders.oco import LIMIT_SUFFIX, STOP_SUFFIX, Group, place_oco
from orders.waiting import Shown

_NO_LIST = "Order list does not exist."
_WHICH = (Parameter("orderListId", number), Parameter("listClientOrderId", ANY_NAME))


class OlderGroupView(SignedView):
    @Endpoint(TRADE, 1, OLDER)
    def post(self, request: Request, asked: Values) -> Response:
        return _place(self, request, read_older(asked), asked["newOrderRespType"] or RESULT)


class GroupView(SignedView):
    @Endpoint(TRADE, 1, NEWER)
    def post(self, request: Request, asked: Values) -> Response:
        return _place(self, request, read_newer(asked), asked["newOrderRespType"] or RESULT)


class ListView(SignedView):
    @Endpoint(READ, 4, (Parameter("orderListId", number), Parameter("origClientOrderId", ANY_NAME)))
    def get(self, request: Request, asked: Values) -> Response:
        return Response(_list(_legs(caller_id(request), asked["orderListId"], asked["origClientOrderId"])))

    @Endpoint(TRADE, 1, (SYMBOL, *_WHICH, Parameter("newClientOrderId", NEW_ID)))
    def delete(self, request: Request, asked: Values) -> Response:
        legs = _legs(caller_id(request), asked["orderListId"], asked["listClientOrderId"])
        is_open = [leg for leg in legs if leg.active]
        if not is_open or legs[0].market_id != asked["symbol"].symbol:
            raise Refused(-2011, UNKNOWN_ORDER)
        # A cancel of one cancels both.
        cancel(is_open[-1])
        cancel_id = asked["newClientOrderId"] or new_name()
        show = partial(_cancelled, legs, cancel_id)
        return answer_in_time(request, is_open[-1], show, lambda: _reported(still(legs), cancel_id))


class OpenListsView(SignedView):
    @Endpoint(READ, 6)
    def get(self, request: Request, asked: Values) -> Response:
        groups: dict[int, list[Order]] = {}
        for order in open_orders(caller_id(request), None):
            if order.group_id is not None:
                groups.setdefault(order.group_id, []).append(order)
        return Response([_list(legs) for legs in groups.values()])


def _place(view: SignedView, request: Request, wanted: Wanted, answer: str) -> Response:
    group = place_oco(caller_id(request), wanted.form, _names(wanted))
    if not group.is_repeated:
        view.use_headers |= add_orders(caller_id(request), 2)
    if answer == ACK:
        return Response(_placed(still([group.limit, group.stop]), answer))
    # The limit leg is taken in last.
    show = partial(_placed_outcome, group, answer)
    return answer_in_time(request, group.limit, show, lambda: _placed(still([group.limit, group.stop]), answer))


def _names(wanted: Wanted) -> tuple[str, str] | None:
    """What the legs are called, where their client calls one of them by itself. The other one is called after the list
    or after that leg, so that a repeat calls it the same. Raises Refused for two of the same name.
    """
    limit, stop = wanted.limit_id, wanted.stop_id
    named = wanted.form.client_order_id or limit or stop
    if limit is None and stop is None:
        return None
    if limit == stop:
        raise Refused(-2010, DUPLICATE)
    return limit or f"{named}{LIMIT_SUFFIX}", stop or f"{named}{STOP_SUFFIX}"


def _placed_outcome(group: Group, answer: str, limit: Order) -> Shown | None:
    if limit.status == Status.PENDING:
        return None
    legs = still([group.limit, group.stop])
    refusal = next(filter(None, map(rejection, legs)), None)
    return Shown(200, _placed(legs, answer)) if refusal is None else refused(refusal)


def _placed(legs: Sequence[Order], answer: str) -> dict[str, Any]:
    shown = [placed_body(RESULT if answer != ACK else ACK, leg) for leg in legs]
    return {**_list(legs), "orderReports": shown}


def _cancelled(legs: Sequence[Order], cancel_id: str, last: Order) -> Shown | None:
    return None if last.active else Shown(200, _reported(still(legs), cancel_id))


def _reported(legs: Sequence[Order], cancel_id: str) -> dict[str, Any]:
    return {**_list(legs), "orderReports": [cancelled_body(cancel_id, leg) for leg in legs]}


def _list(legs: Sequence[Order]) -> dict[str, Any]:
    is_open = any(leg.active for leg in legs)
    first = legs[0]
    return {
        "orderListId": first.group_id,
        "contingencyType": "OCO",
        "listStatusType": "EXEC_STARTED" if is_open else "ALL_DONE",
        "listOrderStatus": "EXECUTING" if is_open else "ALL_DONE",
        "listClientOrderId": _list_name(first),
        "transactionTime": max(milliseconds(leg.updated_at) for leg in legs),
        "symbol": binance_name(first.market_id),
        "orders": [
            {
                "symbol": binance_name(leg.market_id),
                "orderId": leg.id,
                "clientOrderId": client_order_id(leg.id, leg.client_order_id),
            }
            for leg in legs
        ],
    }


def _list_name(leg: Order) -> str:
    """What the client called the group, as far as its legs are called after it."""
    named = leg.client_order_id
    return named.removesuffix(LIMIT_SUFFIX) if named else f"{UNNAMED}{leg.group_id}"


def _legs(user_id: int, list_id: int | None, name: str | None) -> list[Order]:
    """The limit leg and the stop leg. Raises Refused."""
    mine = Order.objects.filter(user_id=user_id)
    if list_id is None and name is None:
        raise Refused(-1102, "Param 'orderListId' or 'origClientOrderId' must be sent, but both were empty/null!")
    if list_id is None:
        assert name is not None
        found = mine.filter(client_order_id__in=[name, name + LIMIT_SUFFIX]).exclude(group_id=None)
        list_id = found.values_list("group_id", flat=True).first()
    # The stop leg was stored behind the limit leg, whose id is the group's.
    if list_id is None or not mine.filter(pk=list_id, group_id=list_id).exists():
        raise Refused(-2013, _NO_LIST)
    return list(mine.filter(pk__gte=list_id, group_id=list_id).order_by("pk")[:2])
