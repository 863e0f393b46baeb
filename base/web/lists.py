"""Lists that are read in pages."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from base.web.answers import answer
from base.web.queries import parameters
from base.web.values import AsOf

M = TypeVar("M", bound=Model)


def read_page(
    request: Request,
    rows: QuerySet[M],
    represent: Callable[[M], Mapping[str, Any]],
    *,
    oldest_first: bool = False,
    as_of: AsOf | None = None,
) -> Response:
    """One page as a list, with `nextCursor` beside it in the envelope: null on the last page."""
    limit, last_seen = parameters(request)["limit"], parameters(request)["cursor"]
    if last_seen is not None:
        rows = rows.filter(pk__gt=last_seen) if oldest_first else rows.filter(pk__lt=last_seen)
    found = list(rows.order_by("pk" if oldest_first else "-pk")[: limit + 1])
    page = found[:limit]
    response = answer([represent(row) for row in page], as_of=as_of)
    response.data["nextCursor"] = str(page[-1].pk) if len(found) > limit else None
    return response
