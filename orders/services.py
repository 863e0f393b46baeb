"""Find and cancel orders (`placing` places them). A cancel is stored as a command, which the worker applies."""

from collections import Counter
from collections.abc import Iterable, Sequence

from django.db import transaction
from django.db.models import QuerySet

from base.storage.bulk import batched
from base.storage.outages import again_on_deadlock
from base.web.errors import OrderClosed, OrderNotFound
from base.web.forms import printable
from commands.queue import submit_cancels
from core.types import ACTIVE_PHASES, Reason
from markets.newest import newest_event
from orders.log import cancels_accepted
from orders.models import Order

NEWEST_ORDERS = 20_000
PER_QUERY = 500


@again_on_deadlock
def cancel_order(user_id: int, order_id: int) -> Order:
    """Store a cancel behind the commands that came before it. Raises OrderNotFound and OrderClosed."""
    with transaction.atomic():
        return _cancel_one(find_order(user_id, order_id))


@again_on_deadlock
def cancel_order_named(user_id: int, client_order_id: str) -> Order:
    """The same, of the order of this key."""
    with transaction.atomic():
        return _cancel_one(find_order_named(user_id, client_order_id))


@again_on_deadlock
def cancel_orders(
    user_id: int, symbol: str | None = None, side: str | None = None, reason: Reason | None = None
) -> int:
    """Store a cancel for each of the user's open orders: in one market or in all, of one side or of both.

    `reason`: why, if not because the user wants it. Return how many.
    """
    named = {"market_id": symbol, "side": side}
    return _cancel(
        Order.objects.filter(user_id=user_id, **{name: value for name, value in named.items() if value is not None}),
        reason,
    )


@again_on_deadlock
def cancel_each(
    user_id: int, order_ids: Sequence[int], client_order_ids: Sequence[str]
) -> list[Order | OrderNotFound | OrderClosed]:
    """Store a cancel for each of the user's orders that is open. Return the order or its refusal, the ids first."""
    with transaction.atomic():
        theirs = Order.objects.filter(user_id=user_id)
        by_id = {order.id: order for order in theirs.filter(id__in=order_ids)}
        by_key = {order.client_order_id: order for order in theirs.filter(client_order_id__in=client_order_ids)}
        found: list[Order | OrderNotFound | OrderClosed] = [
            *(_open_or_refused(by_id.get(each), _no_order(each)) for each in order_ids),
            *(_open_or_refused(by_key.get(key), _no_order_named(key)) for key in client_order_ids),
        ]
        _submit((each.id, each.market_id, each.correlation_id) for each in found if isinstance(each, Order))
    return found


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


def _cancel_one(order: Order) -> Order:
    if not order.active:
        raise closed(order)
    submit_cancels(order.market_id, [order.id])
    return order


def _cancel(orders: QuerySet[Order], reason: Reason | None = None) -> int:
    mine = orders.filter(phase__in=ACTIVE_PHASES)
    return _submit(mine.order_by("id").values_list("id", "market_id", "correlation_id"), reason)


def _submit(orders: Iterable[tuple[int, str, str]], reason: Reason | None = None) -> int:
    """Store a cancel for each order, given as (id, symbol, correlation id). Return how many orders these are."""
    by_market: dict[str, dict[int, str]] = {}
    stored: set[int] = set()
    for order_id, market_id, correlation_id in orders:
        by_market.setdefault(market_id, {})[order_id] = correlation_id
    for market_id, named in sorted(by_market.items()):
        stored.update(submit_cancels(market_id, list(named), reason))
    # Not those that wait since an earlier call: who cancels all orders again and again must not fill the log.
    cancels_accepted(each for named in by_market.values() for each in named.items() if each[0] in stored)
    return sum(map(len, by_market.values()))


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
        raise _no_order(order_id)
    return order


def find_order_named(user_id: int, client_order_id: str) -> Order:
    """The user's own order of this key, with `newest_event`. Raises OrderNotFound."""
    order = orders_as_of().filter(user_id=user_id, client_order_id=client_order_id).first()
    if order is None:
        raise _no_order_named(client_order_id)
    return order


def _no_order_named(client_order_id: str) -> OrderNotFound:
    return OrderNotFound(f"there is no order with clientOrderId {printable(client_order_id)}")


def _no_order(order_id: int) -> OrderNotFound:
    return OrderNotFound(f"there is no order {order_id}", orderId=order_id)


def closed(order: Order) -> OrderClosed:
    """The refusal of what only an open order takes."""
    return OrderClosed(f"order {order.id} is {order.status}", orderId=order.id, status=order.status)


def _open_or_refused(order: Order | None, missing: OrderNotFound) -> Order | OrderNotFound | OrderClosed:
    if order is None:
        return missing
    return order if order.active else closed(order)
