"""The rows that settlement writes of orders beyond the plain ones, and of commands that stay in the inbox."""

from datetime import datetime

from base.storage.bulk import Dialect, Statement, write_deletes, write_updates
from core import outcome
from core import types as core
from core.batch import Batch
from core.outcome import terms_of
from core.types import Reason, Status
from orders.models import OrderExpiry

# What plain orders do not have. Written by a statement of its own, so that they pay nothing for it.
EXTENDED_FIELDS = (
    "price",
    "quantity",
    "priority",
    "stop_price",
    "display_quantity",
    "tip",
    "expires_at",
    "prevented_quantity",
    "prevented_notional",
    "placed_price",
    "placed_quantity",
)
_NEVER_PLAIN = (None, None)
# Under a name of this module, because Python 3.11 takes long to find a member of an enumeration.
_AMEND_REFUSED = Reason.AMEND_REFUSED


def is_refused(event: outcome.Event) -> bool:
    """Whether it is of an amend that changed nothing. Its order may have been closed long before."""
    return event.reason is _AMEND_REFUSED


def funded_rows(batch: Batch) -> list[tuple[object, ...]]:
    """Orders whose frozen funds changed without an event of their own: of a group the one that has them frozen, and the
    unfinished taker that replaces an order, for which the engine froze the rest.
    """
    taker = batch.unfinished
    funded = {order_id: batch.amended.get(order_id, order) for order_id, order in batch.holders.items()}
    if taker is not None and taker.sequence is None:
        funded[taker.id] = taker
    return [(order_id, order.frozen) for order_id, order in funded.items()]


def spent_rows(batch: Batch) -> list[tuple[object, ...]]:
    """The commands that stay in the inbox, whose reserved amounts have become their orders'."""
    return [(command_id, 0) for command_id in batch.spent]


def extended_rows(batch: Batch) -> list[tuple[object, ...]]:
    """The last terms and places of the extended orders with an event, or that began to rest and have a tip now."""
    changed = {order.id: order for order in batch.rested if order.is_extended}
    for event in batch.events:
        if event.terms is not None and not is_refused(event):
            changed[event.order.id] = event.order
    return [_extended_row(order) for order in changed.values()]


def _extended_row(order: core.Order) -> tuple[object, ...]:
    terms = terms_of(order)
    return (
        order.id,
        terms.price,
        terms.quantity,
        order.priority,
        terms.stop_price,
        terms.display_quantity,
        order.tip,
        terms.expires_at,
        terms.prevented or None,
        terms.prevented_notional or None,
        *(order.placed or _NEVER_PLAIN),
    )


def triggered_rows(batch: Batch, now: datetime) -> list[tuple[object, ...]]:
    triggered = [event.order for event in batch.events if event.status is Status.TRIGGERED]
    for order in triggered:
        # For its order updates. It is never changed again.
        order.triggered_at = now
    return [(order.id, now) for order in triggered]


def write_expiries(to: Dialect, batch: Batch) -> list[Statement]:
    """Of GTD orders: the row that says when one is due goes with the order, and follows an amend."""
    changed = {event.order.id: event for event in batch.events if event.terms is not None and not is_refused(event)}
    timed = [event for event in changed.values() if event.terms is not None and event.terms.expires_at is not None]
    closed = [event.order.id for event in timed if not event.active]
    amended = batch.amended.keys() - closed
    rows = [(event.order.id, event.order.expires_at) for event in timed if event.order.id in amended]
    return [
        *write_deletes(OrderExpiry, closed),
        *write_updates(to, OrderExpiry, key="id", guards=(), fields=("due_at",), rows=rows),
    ]
