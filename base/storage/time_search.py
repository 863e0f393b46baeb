"""Rows by the time at which they were made, where only their keys are indexed."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max, Min, Q

# Keys are given before the commit, so the rows of two transactions may be out of order, by less than this.
DISORDER = timedelta(seconds=10)


def ids_near(model: Any, instant: datetime) -> Q:
    """The rows made at that time, by their keys: rows that are only added are in the order of time."""
    return Q(pk__gte=_first_pk_since(model, instant - DISORDER), pk__lte=_first_pk_since(model, instant + DISORDER))


def _first_pk_since(model: Any, instant: datetime) -> int:
    """The first key whose row is not older than the instant, or one above all keys: found by bisection."""
    rows = model._default_manager.order_by("pk").values_list("pk", "created_at")
    ends = rows.aggregate(first=Min("pk"), last=Max("pk"))
    low, high = ends["first"] or 0, (ends["last"] or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = rows.filter(pk__gte=middle).first()
        if row is None or row[1] >= instant:
            high = middle
        else:
            low = row[0] + 1
    return int(low)
