"""Find and cancel orders (`placing` places them). A cancel is stored as a command, which the worker applies."""

from collections import Counter
from collections.abc import Sequence

from django.db import transaction
from django.db.models import QuerySet

from base.storage.bulk import batched
from base.storage.outages import again_on_deadlock
from base.web.errors import OrderClosed, OrderNotFound
from commands.queue import submit_cancels
from core.types import ACTIVE_PHASES
from markets.newest import newest_event
from orders.log import cancels_accepted
from orders.models import Order

NEWEST_ORDERS = 20_000
PER_QUERY = 500


@again_on_deadlock
def cancel_order(user_id: int, order_id: int) -> Order:
    """Store a cancel behind the commands that came before it. Raises OrderNotFound and OrderClosed."""
    with transaction.atomic():
        order = find_order(user_id, order_id)
        if not order.active:
            raise OrderClosed(f"order {order.id} is {order.status}", orderId=order.id, status=order.status)
        submit_cancels(order.market_id, [order.id])
    return order


@again_on_deadlock
def cancel_orders(user_id: int, symbol: str | None = None) -> int:
    """Store a cancel for each of the user's open orders, in one market or in all. Return how many."""
    mine = Order.objects.filter(user_id=user_id)
    return _cancel(mine if symbol is None else mine.filter(market_id=symbol))


@again_on_deadlock
def cancel_named(
    user_id: int, order_ids: Sequence[int], client_order_ids: Sequence[str], placed_by: int | None = None
) -> int:
    """Store a cancel for each of these orders of the user that is open. Return how many.

    `placed_by`: only of those that this member of staff placed for the user.
    """
    theirs = Order.objects.filter(user_id=user_id)
    if placed_by is not None:
        theirs = theirs.filter(placed_by_id=placed_by)
    return sum(
        _cancel(theirs.filter(**{f"{name}__in": keys}))
        for name, values in (("id", order_ids), ("client_order_id", client_order_ids))
        for keys in batched(values, PER_QUERY)
    )


def active_among(user_id: int, order_ids: Sequence[int]) -> list[int]:
    """Those of the user's orders that may still trade."""
    found: list[int] = []
    for some in batched(order_ids, PER_QUERY):
        found += Order.objects.filter(user_id=user_id, id__in=some, phase__in=ACTIVE_PHASES).values_list(
            "id", flat=True
        )
    return found


def _cancel(orders: QuerySet[Order]) -> int:
    mine = orders.filter(phase__in=ACTIVE_PHASES)
    by_market: dict[str, list[int]] = {}
    stored: set[int] = set()
    named = []
    for order_id, market_id, correlation_id in mine.order_by("id").values_list("id", "market_id", "correlation_id"):
        by_market.setdefault(market_id, []).append(order_id)
        named.append((order_id, correlation_id))
    for market_id, order_ids in sorted(by_market.items()):
        stored.update(submit_cancels(market_id, order_ids))
    # Not those that wait since an earlier call: who cancels all orders again and again must not fill the log.
    cancels_accepted(each for each in named if each[0] in stored)
    return len(named)


def most_active_users(most: int) -> list[int]:
    """The users with the most orders among the newest, so that a long history costs nothing."""
    newest = Order.objects.order_by("-id").values_list("user_id", flat=True)[:NEWEST_ORDERS]
    return [user_id for user_id, _ in Counter(newest).most_common(most)]


def orders_as_of() -> QuerySet[Order]:
    """All orders, each with `newest_event`: the number of its market's newest event, read by the same statement."""
    return Order.objects.annotate(newest_event=newest_event("market_id"))


def find_order(user_id: int, order_id: int) -> Order:
    """The user's own order, with `newest_event`. Raises OrderNotFound, also for another user's order."""
    order = orders_as_of().filter(user_id=user_id, id=order_id).first()
    if order is None:
        raise OrderNotFound(f"there is no order {order_id}", orderId=order_id)
    return order
