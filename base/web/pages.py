"""Lists, a page at a time. The cursor is the last id seen: no page costs more than another."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from base.web.answers import answer
from base.web.errors import InvalidField
from base.web.forms import parse_limit
from base.web.values import parse_id

DEFAULT_LIMIT = 50
MOST = 500

M = TypeVar("M", bound=Model)


def read_page(
    request: Request, rows: QuerySet[M], represent: Callable[[M], Mapping[str, Any]], *, oldest_first: bool = False
) -> Response:
    """One page as a list, with `nextCursor` beside it in the envelope: null on the last page. Raises InvalidField."""
    limit = parse_limit(request.query_params.get("limit"), DEFAULT_LIMIT, MOST)
    cursor = request.query_params.get("cursor")
    if cursor is not None:
        last_seen = parse_id(cursor)
        if last_seen is None:
            raise InvalidField("cursor", "INVALID_CURSOR", "cursor must be the nextCursor of an earlier page")
        rows = rows.filter(pk__gt=last_seen) if oldest_first else rows.filter(pk__lt=last_seen)
    found = list(rows.order_by("pk" if oldest_first else "-pk")[: limit + 1])
    page = found[:limit]
    response = answer([represent(row) for row in page])
    response.data["nextCursor"] = str(page[-1].pk) if len(found) > limit else None
    return response
