"""Where a resting order stands: what would trade before it."""

from decimal import Decimal
from typing import Any

from django.db.models import Case, Count, Value, When
from django.db.models.functions import Coalesce
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.storage.fields import AmountSum
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
BETTER, BEFORE, BEHIND = range(3)


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
        sums.get(where, (Decimal(0), 0)) for where in (BETTER, BEFORE, BEHIND)
    )
    level: answers.QueueLevel = {
        "price": plain(order.price),
        "quantity": plain(before + behind),
        "orderCount": before_orders + behind_orders,
        "ahead": plain(before),
    }
    return {"ahead": plain(better + before), "aheadOrders": better_orders + before_orders, "level": level}


def _sums(order: Order) -> dict[int, tuple[Decimal, int]]:
    """What is visible of the side down to the order's price, and of how many orders, by where they stand."""
    reached = "price__gte" if order.side == Side.BUY else "price__lte"
    place = order.sequence if order.priority is None else order.priority
    at_its_price = Case(When(place__lt=place, then=Value(BEFORE)), default=Value(BEHIND))
    where: Any = Case(When(price=order.price, then=at_its_price), default=Value(BETTER))
    others = resting_orders(order.market_id).filter(side=order.side, **{reached: order.price})
    rows: Any = others.annotate(place=Coalesce("priority", "sequence"), where=where).values("where")
    found = rows.annotate(visible=AmountSum(VISIBLE), orders=Count("id")).order_by()
    return {row["where"]: (row["visible"], row["orders"]) for row in found}
