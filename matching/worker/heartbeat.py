"""Which workers are there: each says in the database, every few seconds, that it is and which markets it serves.

In the database, because Redis may be away; in a row of its own, because nobody may wait for it. By the database's clock
alone: the workers' need not agree.
"""

import time
from collections.abc import Collection, Iterable
from datetime import timedelta

from django.db.models import QuerySet
from django.db.models.functions import Now

from markets.models import Market
from matching.models import WorkerHeartbeat

REFRESH_SECONDS = 5.0
# Three times unheard. One that was killed counts until then.
ALIVE = timedelta(seconds=15)
# One that was killed said no farewell; its row is shown this long.
KEPT = timedelta(hours=1)


class Heartbeat:
    """Speaks for one worker, from one thread. Raises what the database raises."""

    def __init__(self, name: str, *, serves_all: bool, symbols: Collection[str]) -> None:
        self._said = {"name": name, "serves_all": serves_all, "symbols": sorted(symbols)}
        self._row_id: int | None = None
        self._due = 0.0

    def refresh(self) -> None:
        """Say that the worker is there, unless it was said a moment ago."""
        now = time.monotonic()
        if now < self._due:
            return
        # Set first: a database that cannot be written to is not asked more often than any other.
        self._due = now + REFRESH_SECONDS
        # Not there: the first time, or after an hour in which nothing could be said.
        if self._row_id is None or not WorkerHeartbeat.objects.filter(pk=self._row_id).update(seen_at=Now()):
            self._row_id = WorkerHeartbeat.objects.create(started_at=Now(), seen_at=Now(), **self._said).pk
        _delete_old()

    def remove(self) -> None:
        """The worker ends, and nobody shall count on it."""
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
    """The workers that said so a moment ago."""
    return WorkerHeartbeat.objects.filter(seen_at__gte=Now() - ALIVE)


def _delete_old() -> None:
    # Looked for first: a DELETE without anything to delete would lock the rows that it passes, which are others'.
    dead = list(WorkerHeartbeat.objects.filter(seen_at__lt=Now() - KEPT).values_list("pk", flat=True))
    if dead:
        WorkerHeartbeat.objects.filter(pk__in=dead).delete()
