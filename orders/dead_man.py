"""Dead man's switch: a user's open orders are cancelled at a time, unless the user moves it or takes it away before.

By the database's clock alone. A switch for all markets and switches for single ones stand beside each other. A switch
fires once: it is deleted in the transaction that stores the cancels, so an order that is placed afterwards stays.
"""

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models.functions import Now

from base.storage.clock import database_time
from base.storage.outages import again_on_deadlock
from core.types import Reason
from orders.log import dead_man_fired
from orders.models import DeadManSwitch
from orders.services import cancel_orders

LONGEST_SECONDS = 3600
# So many fire together: a user may have many orders.
MOST_DUE = 20


@again_on_deadlock
def set_switch(user_id: int, symbol: str | None, seconds: int) -> datetime | None:
    """Let it fire so many seconds from now; 0 takes it away. Return when it fires."""
    if not seconds:
        DeadManSwitch.objects.filter(user_id=user_id, symbol=symbol or "").delete()
        return None
    triggers_at = database_time() + timedelta(seconds=seconds)
    switch = DeadManSwitch(user_id=user_id, symbol=symbol or "", triggers_at=triggers_at)
    # MySQL finds the row by itself, and takes no names of columns.
    names = ["user", "symbol"] if connection.features.supports_update_conflicts_with_target else None
    DeadManSwitch.objects.bulk_create(
        [switch], update_conflicts=True, update_fields=["triggers_at"], unique_fields=names
    )
    return triggers_at


def fire_due(most: int = MOST_DUE) -> int:
    """Fire the switches whose time has come, but no more than so many. Return how many were due."""
    due = DeadManSwitch.objects.filter(triggers_at__lte=Now()).order_by("triggers_at", "id")
    ids = list(due.values_list("id", flat=True)[:most])
    for switch_id in ids:
        _fire(switch_id)
    return len(ids)


@again_on_deadlock
def _fire(switch_id: int) -> None:
    """Of several workers one fires it. Not if its user has moved it meanwhile."""
    skips = connection.features.has_select_for_update_skip_locked
    with transaction.atomic():
        due = DeadManSwitch.objects.filter(id=switch_id, triggers_at__lte=Now())
        switch = due.select_for_update(skip_locked=skips).first()
        if switch is None:
            return
        switch.delete()
        cancelled = cancel_orders(switch.user_id, switch.symbol or None, reason=Reason.DEAD_MAN_SWITCH)
    dead_man_fired(switch.user_id, switch.symbol, cancelled)
