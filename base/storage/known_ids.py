"""Ids that were never issued are known without a query, so that guessing ids costs the database nothing.

By default (ID_FILTER=highest) each process remembers the highest id that it knows of, and since when. The database
issues ids in rising order and no faster than a million a second, so one that is larger than could be issued since was
never issued. Where that is not certain the end of the index is asked once; an id that is hardly larger is looked for.

ID_FILTER=shared asks `base.storage.id_filter`, and ID_FILTER=off asks nobody: then each id is looked for in its table.
"""

import math
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import transaction
from django.db.models import Model

from base.storage.id_filter import CHUNK, IdFilter
from base.storage.outages import again_on_deadlock
from base.storage.shared_caches import coherence
from base.telemetry.metrics import CACHE_READS

HIGHEST, SHARED, OFF = "highest", "shared", "off"
# No exchange issues more ids a second, all hosts together.
A_SECOND = 1_000_000
# So much above the highest an id may be at any moment, because several hosts may take their ids in steps.
AT_ONCE = 10_000
# Somebody may have set the table's counter by hand.
REMEMBERED_SECONDS = 60.0


class HighestId:
    """The highest id of a table, as one process knows it. `read` asks the database: 0 for none."""

    def __init__(self, read: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._highest, self._read_at = 0, -math.inf

    def may_exist(self, number: int) -> bool:
        """Whether the id may have been issued. False is certain."""
        with self._lock:
            highest, read_at = self._highest, self._read_at
        if number <= highest + AT_ONCE:
            # The look-up itself is the cheapest question.
            return True
        now = self._clock()
        age = now - read_at
        if age < REMEMBERED_SECONDS and number > highest + AT_ONCE + A_SECOND * age:
            return False
        found = self._read()
        with self._lock:
            # The time from before it was read, because ids are issued meanwhile.
            self._highest, self._read_at = max(self._highest, found), now
        return number <= found + AT_ONCE

    def seen(self, number: int) -> None:
        """This process has issued the id."""
        with self._lock:
            self._highest = max(self._highest, number)

    def forget(self) -> None:
        self._highest, self._read_at = 0, -math.inf


class KnownIds:
    """The ids of one table, by whichever way the settings choose. `size`: how many the shared filter is made for."""

    def __init__(self, name: str, size: int, model: Callable[[], type[Model]]) -> None:
        self.label = f"ids of {name}"
        self._model = model
        self.highest = HighestId(self.read_highest)
        self.shared = IdFilter(name, size, coherence)

    def may_exist(self, number: int) -> bool:
        """Whether to look for it. False only if it was never issued."""
        if settings.ID_FILTER == OFF:
            return True
        way = self.shared if settings.ID_FILTER == SHARED else self.highest
        may = way.may_exist(number)
        CACHE_READS.labels(self.label, "perhaps" if may else "hit").inc()
        return may

    def issued(self, numbers: list[int]) -> None:
        """New ids, in the transaction that issues them, after their rows were inserted."""
        self.highest.seen(max(numbers, default=0))
        if settings.ID_FILTER == SHARED and numbers:
            self.shared.add(numbers)

    def fill(self) -> bool:
        """Fill the shared filter from the table, if it is not. False where that is not wanted, or cannot be now."""
        if settings.ID_FILTER != SHARED:
            return False
        return self.shared.is_filled() or self.shared.fill(self._read_locked)

    def read_highest(self) -> int:
        """The highest id in the table, 0 for none."""
        newest = self._model()._default_manager.order_by("-pk").values_list("pk", flat=True)
        return int(newest.first() or 0)

    def _read_locked(self, after: int) -> list[int]:
        """It waits for transactions that have inserted rows and are not over; again where it met them in a deadlock."""
        return read_ids_locked(self._model(), after)


@again_on_deadlock
def read_ids_locked(model: type[Model], after: int) -> list[int]:
    """The next ids, each row locked for the moment."""
    rows = model._default_manager.select_for_update().filter(pk__gt=after).order_by("pk")
    with transaction.atomic():
        return list(rows.values_list("pk", flat=True)[:CHUNK])
