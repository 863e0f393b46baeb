"""When GTD orders end: a row for each that is open, by which those that are due are found.

Only the database's clock counts. The row is stored with the order and deleted with the event that closes it; an amend
moves it. What is due gets a command, as a cancel does: so it has its place in the sequence, and survives a crash.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models.functions import Now

from base.storage.clock import database_time
from base.storage.outages import again_on_deadlock
from base.storage.statements import GuardFailed
from base.web.errors import InvalidField
from commands.queue import submit_with_data
from core.types import CommandKind
from orders.models import Order, OrderExpiry

AHEAD = timedelta(seconds=1)
# So many orders are looked at together.
MOST_DUE = 500


def expiry_errors(expires_at: datetime | None) -> list[InvalidField]:
    """Check that the time lies far enough ahead for the order to be stored and matched before."""
    if expires_at is None or expires_at >= database_time() + AHEAD:
        return []
    return [InvalidField("expiresAt", "EXPIRY_TOO_SOON", "expiresAt must be a second ahead at least")]


def store_expiries(orders: Iterable[Order]) -> None:
    """Store when new orders are due, in the transaction that stores them."""
    rows = [OrderExpiry(id=each.id, market_id=each.market_id, due_at=each.expires_at) for each in orders]
    if rows:
        OrderExpiry.objects.bulk_create(rows)


def expire_again(order: Order) -> None:
    """Let a GTD order be found once more whose command was given up."""
    OrderExpiry.objects.filter(id=order.id).update(due_at=order.expires_at)


@again_on_deadlock
def expire_due(most: int = MOST_DUE) -> int:
    """Store a command for each of the orders that are due, but for no more than so many. Return for how many.

    Of several workers that look at the same moment one takes an order: it locks the row and takes the time out.
    """
    due = OrderExpiry.objects.filter(due_at__lte=Now())
    # Without a lock, because mostly nothing is due.
    if not due.exists():
        return 0
    skips = connection.features.has_select_for_update_skip_locked
    with transaction.atomic():
        locked = due.select_for_update(skip_locked=skips).order_by("due_at", "id")
        rows = list(locked.values_list("id", "market_id", "due_at")[:most])
        commands = [
            (symbol, order_id, {"expires_at": due_at.isoformat()}) for order_id, symbol, due_at in rows if due_at
        ]
        submit_with_data(CommandKind.EXPIRE, commands)
        if due.filter(id__in=[row[0] for row in rows]).update(due_at=None) != len(rows):
            raise GuardFailed("an order that is due was taken by another worker")
    return len(rows)
