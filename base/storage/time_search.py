"""Rows by the time at which they were made, where only their keys are indexed."""

from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

# Keys are given before the commit, and by hosts whose clocks differ, so the rows of two transactions may be out of
# order, by less than this.
DISORDER = timedelta(seconds=10)

M = TypeVar("M", bound=Model)


def ids_near(model: Any, instant: datetime) -> Q:
    """The rows made at that time, by their keys: rows that are only added are in the order of time."""
    rows = model._default_manager.all()
    return Q(pk__gte=_first_since(rows, "pk", instant - DISORDER), pk__lte=_first_since(rows, "pk", instant + DISORDER))


def made_between(rows: QuerySet[M], start: datetime | None, end: datetime | None, key: str = "pk") -> QuerySet[M]:
    """Those made from `start` on and before `end`. An index must hold the rows by `key`, which rises with time.

    The ends are found along the index, and the time itself is looked at only of what was made within DISORDER of them.
    A primary key rises over all rows of the table, and is searched over all of them: of the rows of one user a database
    might look for each by reading the others. Filters that the index does not hold are added afterwards.
    """
    searched = rows.model._default_manager.all() if key == "pk" else rows
    found = rows
    if start is not None:
        first = _first_since(searched, key, start - DISORDER)
        found = found.filter(**{f"{key}__gte": first, "created_at__gte": start})
    if end is not None:
        found = found.filter(**{f"{key}__lt": _first_since(searched, key, end + DISORDER), "created_at__lt": end})
    return found


def _first_since(rows: QuerySet[Any], key: str, instant: datetime) -> int:
    """The first key whose row is not older than the instant, or one above all keys: found by bisection."""
    by_key: Any = rows.order_by(key).values_list(key, "created_at")
    first, last = by_key.first(), by_key.last()
    if first is None or last is None or first[1] >= instant:
        return 0 if first is None else int(first[0])
    low, high = first[0], last[0] + 1
    while low < high:
        middle = (low + high) // 2
        row = by_key.filter(**{f"{key}__gte": middle}).first()
        if row is None or row[1] >= instant:
            high = middle
        else:
            low = row[0] + 1
    return int(low)
