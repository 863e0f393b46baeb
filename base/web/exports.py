"""Lists as CSV: all rows that match, read and written page by page, so that their number costs no memory."""

import csv
import io
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.http import StreamingHttpResponse
from pydantic import BaseModel
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from structlog.contextvars import get_contextvars

from base.telemetry.access import duration_ms
from base.web.authentication import caller_id
from base.web.errors import TooManyRequests
from base.web.shares import Share
from base.web.values import camel

logger = structlog.get_logger(__name__)

MEDIA_TYPE = "text/csv"
ROWS_PER_PAGE = 500
# Where a request keeps that its `Accept` asks for CSV; no header of a client's can have such a name.
_ACCEPTED = "exchange.csv"
_PLAIN = re.compile(r"-[A-Za-z0-9._:-]*", re.ASCII)

Page = tuple[Sequence[Mapping[str, Any]], int | None]
PageReader = Callable[[int | None, int], Page]


@dataclass(frozen=True)
class Export:
    """A list that may be had as CSV: the name of its file, and the type of its rows, whose fields are the columns."""

    file_name: str
    row: Any

    @property
    def columns(self) -> list[str]:
        if issubclass(self.row, BaseModel):
            return [camel(name) for name in self.row.model_fields]
        return list(self.row.__annotations__)


class ByCall(DefaultContentNegotiation):
    """JSON, and CSV of a list that may be had so. A refusal is JSON, whatever was asked for."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        offered = [*renderers, _Csv()] if export_of(request) else renderers
        chosen = super().select_renderer(request, offered, format_suffix)
        if not isinstance(chosen[0], _Csv):
            return chosen
        request.META[_ACCEPTED] = True
        return renderers[0], renderers[0].media_type


class _Csv(BaseRenderer):
    """Stands for CSV where media types are compared; the rows never come together in one place."""

    media_type = MEDIA_TYPE
    format = "csv"


def export_of(request: Request) -> Export | None:
    """The export that the request's call declares."""
    method = "get" if request.method == "HEAD" else str(request.method).lower()
    handler = getattr(request.parser_context["view"], method, None)
    export: Export | None = getattr(getattr(handler, "call", None), "csv", None)
    return export


def asked_for(request: Request, word: str | None) -> bool:
    """Whether CSV is asked for: by `format`, where it is given, else by `Accept`."""
    return word == "csv" if word is not None else _ACCEPTED in request.META


def stream_csv(
    request: Request, export: Export, read: PageReader, cursor: int | None, limit: int | None
) -> StreamingHttpResponse:
    """All rows after the cursor, or `limit` of them. Raises TooManyRequests.

    No transaction is held: each page is a query of its own, by key, so a row that is added meanwhile comes in no page.
    """
    lines = _Lines(export, read, cursor, limit, caller_id(request))
    headers = {"Content-Disposition": f'attachment; filename="{export.file_name}"'}
    if request.method == "HEAD":
        lines.close()
        return StreamingHttpResponse((), content_type=f"{MEDIA_TYPE}; charset=utf-8", headers=headers)
    return StreamingHttpResponse(lines, content_type=f"{MEDIA_TYPE}; charset=utf-8", headers=headers)


class _Lines(Iterator[bytes]):
    """The header and the rows, a page at each step. Whoever iterates must close it.

    The first page is read at once: what fails then is refused, as it could not be after the answer has begun.
    """

    def __init__(self, export: Export, read: PageReader, cursor: int | None, limit: int | None, user_id: int) -> None:
        self._columns, self._read, self._left, self._user_id = export.columns, read, limit, user_id
        self._began, self._rows, self._is_open = time.perf_counter(), 0, True
        # The request's fields, which are gone once its own line is written.
        self._log = logger.bind(**get_contextvars(), file=export.file_name)
        _running.begin(user_id)
        self._body: bytes | None = b""
        try:
            self._body = _written([self._columns]) + self._page(cursor)
        except BaseException:
            self.close()
            raise

    def __next__(self) -> bytes:
        body = self._body
        if body is None:
            raise StopIteration
        self._body = None if self._cursor is None else self._page(self._cursor)
        return body

    def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        _running.end(self._user_id)
        self._log.info("export ended", rows=self._rows, isWhole=self._body is None, durationMs=duration_ms(self._began))

    def _page(self, cursor: int | None) -> bytes:
        if time.perf_counter() - self._began > settings.EXPORT_SECONDS:
            raise TimeoutError(f"an export takes longer than EXPORT_SECONDS, {settings.EXPORT_SECONDS}: it is cut off")
        most = ROWS_PER_PAGE if self._left is None else min(ROWS_PER_PAGE, self._left)
        rows, self._cursor = self._read(cursor, most)
        self._rows += len(rows)
        if self._left is not None:
            self._left -= len(rows)
            if self._left == 0:
                self._cursor = None
        return _written([cell(row[name]) for name in self._columns] for row in rows)


class _Running:
    """The exports of this process. A slow reader keeps a thread of REST, so there are few, and one for each user."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: set[int] = set()
        self._share = Share(lambda: settings.EXPORTS_MAX)

    def begin(self, user_id: int) -> None:
        """Raises TooManyRequests."""
        most = settings.EXPORTS_MAX
        with self._lock:
            if user_id in self._users:
                raise TooManyRequests("another export of yours is being read: one at a time", limit=1)
            if not self._share.take():
                raise TooManyRequests(f"{most} exports are being read, and no more may be: try again", limit=most)
            self._users.add(user_id)

    def end(self, user_id: int) -> None:
        with self._lock:
            self._users.remove(user_id)
            self._share.give_back()


_running = _Running()


def _written(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def cell(value: Any) -> str:
    """As in JSON, null being empty. A text that a spreadsheet would take for a formula is marked as a text.

    A hyphen at the beginning is left to numbers and to keys such as `-bot-1`: of letters, digits, `.`, `_`, `:` and
    hyphens a formula can be written that names a cell, but none that calls a function or leaves the sheet.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    is_formula = text.startswith(("=", "+", "@", "\t", "\r")) or (text.startswith("-") and not _PLAIN.fullmatch(text))
    return f"'{text}" if is_formula else text
