"""Lists that are read in pages, newest first or oldest first, and within a window of time."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from base.storage.time_search import made_between
from base.web.answers import answer
from base.web.exports import Page, PageReader, asked_for, export_of, stream_csv
from base.web.queries import parameters
from base.web.values import AsOf

M = TypeVar("M", bound=Model)


def read_page(
    request: Request,
    rows: QuerySet[M],
    represent: Callable[[M], Mapping[str, Any]],
    *,
    oldest_first: bool = False,
    key: str = "pk",
    as_of: AsOf | None = None,
) -> HttpResponseBase:
    """One page of the rows, in the order of their keys, as `answer_page` answers it."""
    return answer_page(request, by_key(rows, represent, oldest_first=oldest_first, key=key), as_of=as_of)


def answer_page(request: Request, read: PageReader, *, as_of: AsOf | None = None) -> HttpResponseBase:
    """One page as a list, with `nextCursor` beside it in the envelope, null on the last page; or all pages as CSV."""
    asked, export = parameters(request), export_of(request)
    if export is not None and asked_for(request, asked["format"]):
        limit = asked["limit"] if "limit" in request.query_params else None
        return stream_csv(request, export, read, asked["cursor"], limit)
    found, cursor = read(asked["cursor"], asked["limit"])
    response = answer(found, as_of=as_of)
    response.data["nextCursor"] = None if cursor is None else str(cursor)
    return response


def by_key(
    rows: QuerySet[M], represent: Callable[[M], Mapping[str, Any]], *, oldest_first: bool = False, key: str = "pk"
) -> PageReader:
    """Reads the rows by a key that an index holds."""

    def read(cursor: int | None, limit: int) -> Page:
        after = {} if cursor is None else {f"{key}__{'gt' if oldest_first else 'lt'}": cursor}
        found = list(rows.filter(**after).order_by(key if oldest_first else f"-{key}")[: limit + 1])
        page = found[:limit]
        return [represent(row) for row in page], getattr(page[-1], key) if len(found) > limit else None

    return read


def in_window(request: Request, rows: QuerySet[M], key: str = "pk") -> QuerySet[M]:
    """The rows from `startTime` on and before `endTime`; to be narrowed by what the index does not hold afterwards."""
    asked = parameters(request)
    return made_between(rows, asked["start_time"], asked["end_time"], key)
