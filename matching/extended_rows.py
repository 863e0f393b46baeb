"""The rows that settlement writes of orders beyond the plain ones, and of commands that stay in the inbox."""

from collections.abc import Container, Iterable
from datetime import datetime

from base.storage.bulk import write_deletes, write_updates
from base.storage.literals import Dialect
from base.storage.statements import Statement
from core import outcome
from core import types as core
from core.batch import Batch
from core.outcome import terms_of
from core.types import Reason, Status
from orders.models import OrderExpiry

# What plain orders do not have. Extended ones are written by a statement of their own, so that plain ones pay nothing.
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
    "triggered_at",
)
_NEVER_PLAIN = (None, None)
# Under names of this module, because Python 3.11 takes long to find a member of an enumeration.
_AMEND_REFUSED, _TRIGGERED = Reason.AMEND_REFUSED, Status.TRIGGERED


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


def rested_rows(batch: Batch, changed: Container[int]) -> list[tuple[object, ...]]:
    """The terms and places of extended orders that began to rest and are not among the changed ones: icebergs."""
    return [
        (order.id, *extended_state(order)) for order in batch.rested if order.is_extended and order.id not in changed
    ]


def extended_state(order: core.Order) -> tuple[object, ...]:
    """The values of EXTENDED_FIELDS."""
    terms = terms_of(order)
    return (
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
        order.triggered_at,
    )


def date_triggers(batch: Batch, now: datetime) -> None:
    """Give the orders that were triggered in the batch the instant of its settlement.

    An amend behind the trigger has put another object in the place of the order.
    """
    if not batch.triggers:
        return
    triggered = {event.order.id for event in batch.events if event.status is _TRIGGERED}
    for event in batch.events:
        if event.order.id in triggered:
            event.order.triggered_at = now
    for order_id in triggered & batch.amended.keys():
        batch.amended[order_id].triggered_at = now


def write_expiries(to: Dialect, batch: Batch, orders: Iterable[core.Order]) -> list[Statement]:
    """Of GTD orders among the changed ones: the row that says when one is due goes with it, and follows an amend."""
    timed = [order for order in orders if order.expires_at is not None]
    rows = [(order.id, order.expires_at) for order in timed if order.active and order.id in batch.amended]
    return [
        *write_deletes(OrderExpiry, [order.id for order in timed if not order.active]),
        *write_updates(to, OrderExpiry, key="id", guards=(), fields=("due_at",), rows=rows),
    ]
