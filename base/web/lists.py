"""Lists that are read in pages, newest first or oldest first, and within a window of time."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from base.storage.indexes import fetch_keys, fetch_rows
from base.storage.time_search import made_between
from base.web.answers import answer
from base.web.exports import Page, PageReader, asked_for, export_of, stream_csv
from base.web.queries import parameters
from base.web.values import AsOf

M = TypeVar("M", bound=Model)
# The most rows that a page looks at for those that its filters leave, and how many of them by one statement.
MOST_READ, READ_AT_ONCE = 10_000, 1_000


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


def by_index(
    rows: QuerySet[M],
    index: str,
    represent: Callable[[M], Mapping[str, Any]],
    *,
    states: Sequence[Mapping[str, Any]] | None = None,
    narrow: Mapping[str, Any] | None = None,
    complete: Callable[[Sequence[M]], None] | None = None,
) -> PageReader:
    """Reads the rows newest first, which the index holds in the order of their primary key.

    `states`: the rows are in one of them. The index holds those of each state in the order of the key, so each is read
    by a statement of its own; a row's state may change until the row itself is read. `narrow` is what the index does
    not hold: a page looks at MOST_READ rows for what that leaves, and ends there. So a filter for what is rare does not
    read all that its owner ever did. `complete` reads for a page what its rows do not have.
    """

    def read(cursor: int | None, limit: int) -> Page:
        older = rows if cursor is None else rows.filter(pk__lt=cursor)
        if states is not None or narrow:
            found, looked_to = _looked_for(older, index, limit, [{}] if states is None else states, narrow or {})
        else:
            found, looked_to = fetch_rows(older.order_by("-pk")[: limit + 1], index), None
        page = found[:limit]
        if complete is not None:
            complete(page)
        return [represent(row) for row in page], page[-1].pk if len(found) > limit else looked_to

    return read


def _looked_for(
    rows: QuerySet[M], index: str, limit: int, states: Sequence[Mapping[str, Any]], narrow: Mapping[str, Any]
) -> tuple[list[M], int | None]:
    """More rows than the limit if there are so many, and the key to which was looked; None if to the end."""
    found: list[M] = []
    if not states:
        return found, None
    in_a_state = reduce(or_, (Q(**state) for state in states))
    size, looked, last = READ_AT_ONCE if narrow else limit + 1, 0, None
    while len(found) <= limit and looked < MOST_READ:
        older = rows if last is None else rows.filter(pk__lt=last)
        walks = (older.filter(**state).order_by("-pk").values_list("pk", flat=True)[:size] for state in states)
        keys = sorted((key for walk in walks for key in fetch_keys(walk, index)), reverse=True)[:size]
        found += rows.model._default_manager.filter(in_a_state, pk__in=keys, **narrow).order_by("-pk")
        if len(keys) < size:
            return found, None
        looked, last = looked + size, keys[-1]
    return found, last


def in_window(request: Request, rows: QuerySet[M], key: str = "pk") -> QuerySet[M]:
    """The rows from `startTime` on and before `endTime`; to be narrowed by what the index does not hold afterwards."""
    asked = parameters(request)
    return made_between(rows, asked["start_time"], asked["end_time"], key)
