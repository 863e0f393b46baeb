"""Where a resting order stands: what would trade before it."""

from decimal import Decimal
from typing import Any

from django.db.models import Case, Count, F, IntegerField, QuerySet, Value, When
from django.db.models.functions import Coalesce
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.storage.fields import AmountField, AmountSum, amount
from base.web.answers import answer
from base.web.errors import OrderClosed
from base.web.keys.scopes import READ
from base.web.openapi.operations import Call
from base.web.queries import OLD_USER_ID
from core.money import plain
from core.types import Phase, Side
from orders import answers
from orders.errors import OrderNotResting
from orders.models import Order
from orders.query import as_of_order, own_order
from orders.resting import VISIBLE, resting_orders
from orders.services import closed

# Where another order of the side stands: at a better price, before this one at its price, or not before it there.
_PLACES = BETTER, BEFORE, BEHIND = range(3)
# So many orders are counted, from the order's own price on to better ones: a book may have a million. Of one price the
# index has them by their ids, and to sort them by their places would read them all.
MOST_COUNTED = 10_000


class QueuePlaceView(APIView):
    @Call(
        *("orders", "readQueuePlace", "Where a resting order stands", answers.QueuePlace),
        scope=READ,
        text="What is visible of that which would trade before it; better prices count too.",
        query=(OLD_USER_ID,),
        as_of=True,
        refusals=(OrderClosed, OrderNotResting),
    )
    def get(self, request: Request, order_id: str) -> Response:
        order = own_order(request, order_id)
        return answer(queue_place(order), as_of=as_of_order(order))


def queue_place(order: Order) -> answers.QueuePlace:
    """Where it stands among the stored resting orders. Raises OrderClosed and OrderNotResting."""
    if not order.active:
        raise closed(order)
    if order.phase != Phase.RESTING:
        raise OrderNotResting(f"order {order.id} is {order.status}", orderId=order.id, status=order.status)
    sums = _sums(order)
    (better, better_orders), (before, before_orders), (behind, behind_orders) = (
        sums[where] for where in (BETTER, BEFORE, BEHIND)
    )
    level: answers.QueueLevel = {
        "price": plain(order.price),
        "quantity": plain(before + behind),
        "orderCount": before_orders + behind_orders,
        "ahead": plain(before),
    }
    place: answers.QueuePlace = {
        "ahead": plain(better + before),
        "aheadOrders": better_orders + before_orders,
        "level": level,
    }
    if better_orders + level["orderCount"] == MOST_COUNTED and _reached(order)[MOST_COUNTED:].exists():
        place["capped"] = True
    return place


def _sums(order: Order) -> dict[int, tuple[Decimal, int]]:
    """What is visible of the side down to the order's price, and of how many orders, by where they stand."""
    nearest = "price" if order.side == Side.BUY else "-price"
    place = order.sequence if order.priority is None else order.priority
    at_its_price = Case(When(place__lt=place, then=Value(BEFORE)), default=Value(BEHIND))
    where: Any = Case(When(price=order.price, then=at_its_price), default=Value(BETTER))
    counted: Any = _reached(order).annotate(place=Coalesce("priority", "sequence"), where=where)
    sums = {f"sum{each}": AmountSum(_only(each, VISIBLE, amount(Decimal(0)), AmountField())) for each in _PLACES}
    numbers = {f"count{each}": Count(_only(each, F("id"), None, IntegerField())) for each in _PLACES}
    found = counted.order_by(nearest)[:MOST_COUNTED].aggregate(**sums, **numbers)
    return {each: (found[f"sum{each}"] or Decimal(0), found[f"count{each}"]) for each in _PLACES}


def _reached(order: Order) -> QuerySet[Order]:
    """The resting orders of its side, from its own price on to better ones."""
    reached = "price__gte" if order.side == Side.BUY else "price__lte"
    return resting_orders(order.market_id).filter(side=order.side, **{reached: order.price})


def _only(where: int, value: Any, other: Any, kind: Any) -> Case:
    return Case(When(where=where, then=value), default=other, output_field=kind)
