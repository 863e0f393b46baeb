"""New orders as rows: the one statement that stores them, and their ids."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, TypeVar

from django.db import IntegrityError

from base.storage.bulk import CheckFailed, checked_id, insert_for_ids
from base.storage.fields import AmountField
from base.web.errors import Unavailable
from core.money import to_units
from orders.expiry import store_expiries
from orders.exposure import UNCHECKED
from orders.models import Order

# One more attempt for keys that are stored, one more for users with limits, and for funds or numbers that do not
# suffice. The others are for requests with the same keys at the same moment.
ATTEMPTS = 5

T = TypeVar("T")
# What is set once an order has its id, and of very few: no other order pays for it.
_LATER = ("id", "meets_id")
_FIELDS = [field for field in Order._meta.concrete_fields if field.name not in _LATER]
_NAMES = [field.name for field in _FIELDS]
_USER = _NAMES.index("user")
_AMOUNTS = [place for place, field in enumerate(_FIELDS) if isinstance(field, AmountField)]
_values = itemgetter(*(field.attname for field in _FIELDS))


def insert_orders(orders: Sequence[Order], *, checks_users: bool) -> None:
    """Store new orders by one INSERT, in the caller's transaction, and set their ids. GTD orders get another row.

    Unless the caller has done so, it checks their users, and raises CheckFailed for one whose orders need a look.
    """
    rows = [_row(order) for order in orders]
    if checks_users:
        # In the first row of each user, whose row in `users` is locked with it.
        for user_id, row in {row[_USER]: row for row in reversed(rows)}.items():
            row[_USER] = checked_id(user_id, "users", UNCHECKED)
    ids = insert_for_ids(Order, _NAMES, rows)
    if len(ids) < len(orders):
        ids = _read_ids(orders, ids[0])
    for order, order_id in zip(orders, ids, strict=True):
        order.id = order_id
    store_expiries(order for order in orders if order.expires_at is not None)


def until_stored(store: Callable[[], T]) -> T:
    """What `store` returns, which is done again where a user got a limit, or a client order id was stored, since it was
    looked at. Raises Unavailable.
    """
    for _ in range(ATTEMPTS):
        try:
            return store()
        except (CheckFailed, IntegrityError):
            continue
    raise Unavailable("the outcome is unknown: repeat the request with the same key")


def _row(order: Order) -> list[Any]:
    row = list(_values(order.__dict__))
    for place in _AMOUNTS:
        if row[place] is not None:
            row[place] = to_units(row[place])
    return row


def _read_ids(orders: Sequence[Order], first: int) -> list[int]:
    """The ids of the orders on MySQL, which returns only the first id of a statement.

    The steps between the ids depend on the server's settings. So the ids are not computed but read: from the users'
    rows from the first id on, where the correlation id names the order.
    """
    theirs = Order.objects.filter(user_id__in={order.user_id for order in orders}, id__gte=first)
    ids = dict(theirs.values_list("correlation_id", "id"))
    found = [ids[order.correlation_id] for order in orders]
    assert len(set(found)) == len(orders), "two orders of a batch have the same correlation id"
    return found
