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
# The most rows that a page looks at for those that its filters leave.
MOST_READ = 10_000


def read_page(
    request: Request,
    rows: QuerySet[M],
    represent: Callable[[M], Mapping[str, Any]],
    *,
    oldest_first: bool = False,
    key: str = "pk",
    among: QuerySet[M] | None = None,
    as_of: AsOf | None = None,
) -> HttpResponseBase:
    """One page of the rows, in the order of their keys, as `answer_page` answers it; `among` as in `by_key`."""
    read = by_key(rows, represent, oldest_first=oldest_first, key=key, among=among)
    return answer_page(request, read, as_of=as_of)


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
    rows: QuerySet[M],
    represent: Callable[[M], Mapping[str, Any]],
    *,
    oldest_first: bool = False,
    key: str = "pk",
    among: QuerySet[M] | None = None,
) -> PageReader:
    """Reads the rows by a key that an index holds.

    `among`: what the index finds, where the rows are those of them that a filter leaves. A page then looks at MOST_READ
    of them, and ends there, so that a filter for what is rare does not read all that its owner ever did.
    """

    def read(cursor: int | None, limit: int) -> Page:
        after = {} if cursor is None else {f"{key}__{'gt' if oldest_first else 'lt'}": cursor}
        order = key if oldest_first else f"-{key}"
        edge = None if among is None else _key_after(among.filter(**after).order_by(order), key)
        within = {} if edge is None else {f"{key}__{'lte' if oldest_first else 'gte'}": edge}
        found = list(rows.filter(**after, **within).order_by(order)[: limit + 1])
        page = found[:limit]
        # The edge itself was looked at.
        return [represent(row) for row in page], getattr(page[-1], key) if len(found) > limit else edge

    return read


def _key_after(rows: QuerySet[Any], key: str) -> int | None:
    """The key of the last row that a page looks at; None if there are no more rows than that."""
    keys = list(rows.values_list(key, flat=True)[MOST_READ - 1 : MOST_READ + 1])
    return keys[0] if len(keys) > 1 else None


def in_window(request: Request, rows: QuerySet[M], key: str = "pk") -> QuerySet[M]:
    """The rows from `startTime` on and before `endTime`; to be narrowed by what the index does not hold afterwards."""
    asked = parameters(request)
    return made_between(rows, asked["start_time"], asked["end_time"], key)
