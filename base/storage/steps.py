"""Changes of a whole table in steps that are committed one by one: no other transaction waits long for their rows."""

from collections.abc import Iterator
from typing import Any

from django.db import models

ROWS_PER_STEP = 1000


def id_ranges(rows: models.QuerySet[Any], size: int = ROWS_PER_STEP) -> Iterator[tuple[int, int]]:
    """The first and the last id of each `size` rows, in the order of their ids.

    Rows that a step takes out of `rows`, because it has filled them, are behind it then.
    """
    last = 0
    while ids := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:size]):
        last = ids[-1]
        yield ids[0], last
