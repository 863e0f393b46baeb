"""Heartbeats: each worker renews a row in the database every few seconds, with the markets that it serves; beat too.

The rows are in the database, because Redis may be away. Each worker has its own, because nobody may wait for it. Only
the database's clock counts, because the clocks of the workers need not agree.
"""

import time
from collections.abc import Collection, Iterable
from datetime import timedelta

from django.db.models import QuerySet
from django.db.models.functions import Now

from markets.models import Market
from matching.models import WorkerHeartbeat

REFRESH_SECONDS = 5.0
# Three heartbeats missed. A worker that was killed counts until then.
ALIVE = timedelta(seconds=15)
# The row of a worker that was killed is shown for so long.
KEPT = timedelta(hours=1)


class Heartbeat:
    """The heartbeat of one worker, or of beat, for one thread. Raises what the database raises."""

    def __init__(
        self, name: str, *, serves_all: bool = False, symbols: Collection[str] = (), is_beat: bool = False
    ) -> None:
        self._fields = {"name": name, "serves_all": serves_all, "symbols": sorted(symbols), "is_beat": is_beat}
        self._row_id: int | None = None
        self._due = 0.0

    def refresh(self) -> None:
        """Renew the row, unless that was done less than five seconds ago."""
        now = time.monotonic()
        if now < self._due:
            return
        # Set first, because a database that takes no writes must not be asked more often.
        self._due = now + REFRESH_SECONDS
        # There is no row the first time, and after an hour without a heartbeat.
        if self._row_id is None or not WorkerHeartbeat.objects.filter(pk=self._row_id).update(seen_at=Now()):
            self._row_id = WorkerHeartbeat.objects.create(started_at=Now(), seen_at=Now(), **self._fields).pk
        _delete_old()

    def remove(self) -> None:
        """Delete the row, because the worker ends."""
        if self._row_id is not None:
            WorkerHeartbeat.objects.filter(pk=self._row_id).delete()


def live_workers(symbols: Iterable[str] | None = None) -> dict[str, int]:
    """How many workers serve each of the markets, or of all that there are; 0 for one that nobody serves."""
    counted = dict.fromkeys(Market.objects.values_list("symbol", flat=True) if symbols is None else symbols, 0)
    for serves_all, served in live_heartbeats().values_list("serves_all", "symbols"):
        for symbol in counted.keys() - set(served) if serves_all else counted.keys() & served:
            counted[symbol] += 1
    return counted


def live_heartbeats() -> QuerySet[WorkerHeartbeat]:
    """The heartbeats of workers that were renewed within 15 seconds."""
    return _alive().filter(is_beat=False)


def live_beats() -> int:
    """How many processes send what is scheduled: one, if all is well."""
    return _alive().filter(is_beat=True).count()


def _alive() -> QuerySet[WorkerHeartbeat]:
    # Not from the future: after the database's clock stepped back, a dead worker would be alive until it has caught up.
    return WorkerHeartbeat.objects.filter(seen_at__range=(Now() - ALIVE, Now() + ALIVE))


def _delete_old() -> None:
    # Read first, because a DELETE that finds nothing would lock the rows of other workers.
    dead = list(WorkerHeartbeat.objects.filter(seen_at__lt=Now() - KEPT).values_list("pk", flat=True))
    if dead:
        WorkerHeartbeat.objects.filter(pk__in=dead).delete()
