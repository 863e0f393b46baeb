"""Many orders: those that are open, read and cancelled; all of a market; and how many were placed."""

from functools import partial
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from base.web.authentication import caller_id
from base.web.errors import OrderNotFound
from base.web.keys.scopes import READ, TRADE
from binance_api.calls import Endpoint, SignedView, caller_of, weigh_pages
from binance_api.errors import UNKNOWN_ORDER, Refused
from binance_api.exchange_info import order_limits
from binance_api.found_orders import new_name
from binance_api.history import MOST_FILLS, MOST_ORDERS, newest_orders, open_orders, orders_from, own_fills
from binance_api.outcomes import answer_in_time, cancelled_body, shown_order, still
from binance_api.parameters import END, ONE_SYMBOL, START, SYMBOL, Parameter, Values, not_together, number, size
from binance_api.representation import own_trade
from binance_api.usage import order_counts
from orders.fills import Half, halves_of_order, halves_of_user
from orders.long_requests import cancel_of_all
from orders.models import Order
from orders.services import cancel_orders, find_order
from orders.waiting import Shown

# The most cancels whose outcome one answer waits for.
MOST_AWAITED = 100


class OpenOrdersView(SignedView):
    @Endpoint(READ, lambda asked: 80 if asked["symbol"] is None else 6, (ONE_SYMBOL,))
    def get(self, request: Request, asked: Values) -> Response:
        symbol = None if asked["symbol"] is None else asked["symbol"].symbol
        return Response([shown_order(order) for order in open_orders(caller_id(request), symbol)])

    @Endpoint(TRADE, 1, (SYMBOL,))
    def delete(self, request: Request, asked: Values) -> Response:
        """All open orders of the market. Those are shown that were found open before."""
        owner_id, symbol = caller_id(request), asked["symbol"].symbol
        found, cancel_id = open_orders(owner_id, symbol), new_name()
        with cancel_of_all():
            cancel_orders(owner_id, symbol)
        if not found:
            raise Refused(-2011, UNKNOWN_ORDER)
        show = partial(_cancelled_by_the_last, found, cancel_id)
        if len(found) > MOST_AWAITED:
            return Response(_cancelled(found, cancel_id))
        # The last of them, because cancels are applied in the order of the ids.
        return answer_in_time(request, found[-1], show, lambda: _cancelled(found, cancel_id))


def _cancelled_by_the_last(found: list[Order], cancel_id: str, last: Order) -> Shown | None:
    return None if last.active else Shown(200, _cancelled(still(found), cancel_id))


def _cancelled(orders: list[Order], cancel_id: str) -> list[dict[str, Any]]:
    return [cancelled_body(cancel_id, order) for order in orders]


class AllOrdersView(SignedView):
    @Endpoint(READ, 20, (SYMBOL, Parameter("orderId", number), START, END, size(MOST_ORDERS, default=500)))
    def get(self, request: Request, asked: Values) -> Response:
        weigh_pages(request, asked["limit"])
        owner_id, symbol = caller_id(request), asked["symbol"].symbol
        first, start, end, limit = (asked[name] for name in ("orderId", "startTime", "endTime", "limit"))
        if first is None and start is None:
            found = newest_orders(owner_id, symbol, end, limit)
        else:
            found = orders_from(owner_id, symbol, first, start, end, limit)
        return Response([shown_order(order) for order in found])


class MyTradesView(SignedView):
    @Endpoint(
        READ,
        lambda asked: 20 if asked["orderId"] is None else 5,
        (
            SYMBOL,
            *(Parameter(name, number) for name in ("orderId", "fromId")),
            *(START, END),
            size(MOST_FILLS, default=500),
        ),
    )
    def get(self, request: Request, asked: Values) -> Response:
        if asked["fromId"] is not None and (asked["startTime"] or asked["endTime"]):
            raise not_together()
        weigh_pages(request, asked["limit"])
        symbol = asked["symbol"].symbol
        halves = _halves(caller_id(request), symbol, asked["orderId"])
        window = (asked[name] for name in ("fromId", "startTime", "endTime", "limit"))
        found = own_fills(symbol, halves, *window) if halves else []
        lists = dict(Order.objects.filter(pk__in={fill["orderId"] for fill in found}).values_list("pk", "group_id"))
        return Response([own_trade(fill, lists.get(fill["orderId"])) for fill in found])


def _halves(user_id: int, symbol: str, order_id: int | None) -> list[Half]:
    if order_id is None:
        return halves_of_user(user_id, [symbol])
    try:
        order = find_order(user_id, order_id)
    except OrderNotFound:
        return []
    return halves_of_order(order) if order.market_id == symbol else []


class OrderCountView(SignedView):
    @Endpoint(READ, 40)
    def get(self, request: Request, asked: Values) -> Response:
        return Response(order_limits(caller_of(request), order_counts(caller_id(request))))
