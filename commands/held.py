"""Orders that the sandbox lets hang: their NEW commands stay out of the inbox until they are due.

A held command goes into the inbox once: whoever deletes its row stores it, in the same transaction. Whatever else asks
for something of its order (a cancel, the kill switch, an amend, the end of its time) lets it go first, so the engine
sees the order before what is asked of it.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from base.storage.clock import database_time
from commands.models import Command, HeldCommand
from core.types import CommandKind

# So many are let go together.
MOST_DUE = 500


def hold(orders: Iterable[tuple[str, int]], wait: timedelta) -> None:
    """Hold the commands of new orders, pairs of symbol and order id, in the transaction that stores these."""
    due_at = database_time() + wait
    HeldCommand.objects.bulk_create(
        HeldCommand(market_id=symbol, id=order_id, due_at=due_at) for symbol, order_id in orders
    )


def let_go_first(kind: CommandKind, order_ids: Iterable[int | None]) -> None:
    """Let the commands go that are held for orders of which something else is asked now, in the caller's transaction.

    Without a sandbox nothing is held.
    """
    if not settings.SANDBOX or kind is CommandKind.NEW:
        return
    with transaction.atomic():
        _let_go(HeldCommand.objects.filter(id__in=[each for each in order_ids if each is not None]).select_for_update())


def let_due_go(*, all_of_them: bool = False, most: int = MOST_DUE) -> list[str]:
    """Let those go that are due, or all. Returns the market of each, which the caller rings after the commit."""
    due = HeldCommand.objects.all() if all_of_them else HeldCommand.objects.filter(due_at__lte=Now())
    # Without a lock, because mostly nothing is due.
    if not due.exists():
        return []
    skips = connection.features.has_select_for_update_skip_locked
    with transaction.atomic():
        return _let_go(due.select_for_update(skip_locked=skips).order_by("due_at", "id")[:most])


def _let_go(held: QuerySet[HeldCommand]) -> list[str]:
    rows: Sequence[HeldCommand] = list(held)
    if rows:
        HeldCommand.objects.filter(id__in=[each.id for each in rows]).delete()
        new = {"kind": CommandKind.NEW.value, "created_at": timezone.now()}
        Command.objects.bulk_create(Command(market_id=each.market_id, order_id=each.id, **new) for each in rows)
    return [each.market_id for each in rows]
