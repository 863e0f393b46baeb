"""One order: placed, tried, read and cancelled."""

from functools import cache, partial
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from base.web.authentication import caller_id
from base.web.errors import OrderClosed, OrderNotFound
from base.web.keys.scopes import READ, TRADE
from binance_api.calls import Endpoint, SignedView
from binance_api.errors import UNKNOWN_ORDER, WOULD_TRIGGER, Refused
from binance_api.exchange_info import commission_rates
from binance_api.found_orders import WHICH, named_order, new_name
from binance_api.order_form import NEW_ID, NEW_ORDER, read_terms
from binance_api.outcomes import (
    answer_in_time,
    answer_placed,
    cancelled_body,
    cancelled_outcome,
    shown_order,
    would_trigger,
)
from binance_api.parameters import FLAG, SYMBOL, Parameter, Values, word
from binance_api.usage import add_orders
from markets.models import Market
from orders import log
from orders.models import Order
from orders.placing import OrderRequest, draft_of, place_order
from orders.resting import reference_price
from orders.services import cancel_order
from orders.terms import OrderTerms

ONLY_NEW, ONLY_PARTIALLY_FILLED = "ONLY_NEW", "ONLY_PARTIALLY_FILLED"
_RESTRICTIONS = word(
    {name: name for name in (ONLY_NEW, ONLY_PARTIALLY_FILLED)},
    Refused(-1145, "cancelRestrictions has to be either ONLY_NEW or ONLY_PARTIALLY_FILLED."),
)
RESTRICTIONS = Parameter("cancelRestrictions", _RESTRICTIONS)
UNKNOWN = (-2011, UNKNOWN_ORDER)


class OrderView(SignedView):
    @Endpoint(TRADE, 1, NEW_ORDER)
    def post(self, request: Request, asked: Values) -> Response:
        market, terms = asked["symbol"], read_terms(asked)
        owner_id = caller_id(request)
        refuse_to_trigger(owner_id, market, terms)
        placed = place_order(owner_id, market, terms)
        log.order_placed(placed)
        if not placed.is_repeated:
            self.use_headers |= add_orders(owner_id, 1)
        return answer_placed(request, placed.order, asked["newOrderRespType"] or asked["type"].answer)

    @Endpoint(READ, 4, (SYMBOL, *WHICH))
    def get(self, request: Request, asked: Values) -> Response:
        return Response(shown_order(named_order(caller_id(request), asked["symbol"], asked)))

    @Endpoint(TRADE, 1, (SYMBOL, *WHICH, Parameter("newClientOrderId", NEW_ID), RESTRICTIONS))
    def delete(self, request: Request, asked: Values) -> Response:
        order = named_order(caller_id(request), asked["symbol"], asked, missing=UNKNOWN)
        refuse_restricted(order, asked["cancelRestrictions"])
        cancel(order)
        cancel_id = asked["newClientOrderId"] or new_name()
        return answer_in_time(
            request, order, partial(cancelled_outcome, cancel_id), lambda: cancelled_body(cancel_id, order)
        )


class TestView(SignedView):
    """What would refuse an order before the engine. Nothing is stored, and funds are not looked at."""

    @Endpoint(TRADE, 1, (*NEW_ORDER, Parameter("computeCommissionRates", FLAG, default=False)))
    def post(self, request: Request, asked: Values) -> Response:
        market, terms = asked["symbol"], read_terms(asked)
        wanted = OrderRequest(caller_id(request), market, terms)
        refuse_to_trigger(wanted.user_id, market, terms)
        refusal = draft_of(wanted, timezone.now(), cache(reference_price)).refusal
        if refusal is not None:
            raise refusal
        return Response(_rates(request, market) if asked["computeCommissionRates"] else {})


def refuse_to_trigger(user_id: int, market: Market, terms: OrderTerms) -> None:
    """Binance takes no stop that is reached already. Ours would fire at once. Raises Refused, but not for a repeat:
    that has the first answer, wherever the price is by now.
    """
    if would_trigger(market.symbol, terms) and not is_stored(user_id, terms):
        raise Refused(-2010, WOULD_TRIGGER)


def is_stored(user_id: int, terms: OrderTerms) -> bool:
    """Whether there is an order of that name, so that this one is a repeat or refused."""
    name = terms.client_order_id
    return name is not None and Order.objects.filter(user_id=user_id, client_order_id=name).exists()


def refuse_restricted(order: Order, only: str | None) -> None:
    """Raises Refused for an order that is not, as far as it is known now, what alone is to be cancelled."""
    if only is not None and bool(order.filled_quantity) is not (only == ONLY_PARTIALLY_FILLED):
        raise Refused(-2011, "Order was not canceled due to cancel restrictions.")


def cancel(order: Order) -> None:
    """Raises Refused for an order that is closed."""
    log.cancel_asked(str(order.id))
    try:
        log.cancel_accepted(cancel_order(order.user_id, order.id))
    except (OrderClosed, OrderNotFound) as error:
        raise Refused(*UNKNOWN) from error


def _rates(request: Request, market: Market) -> dict[str, Any]:
    rates = commission_rates(caller_id(request), market)
    return {
        "standardCommissionForOrder": {name: rates[name] for name in ("maker", "taker")},
    }
