"""The access log: one line for each request, under an id that is in each line logged meanwhile."""

import re
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from structlog.contextvars import bind_contextvars, clear_contextvars

from base.web.errors import TooManyRequests

logger = structlog.get_logger(__name__)

HEADER = "X-Request-ID"
# Requested all the time, by machines and by the admin's pages.
ROUTINE = ("/health/", "/metrics", "/actuator/", "/static/")
LONGEST_PATH = 200
ANSWERED = "answered"
_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")
_outcome: ContextVar[str] = ContextVar("outcome", default=ANSWERED)


class AccessLog:
    """Binds the request's id, returns it in the answer, and logs the answer without the query: a ticket may be in it.

    Fields that were bound meanwhile (`userId`, `orderId`, `error`...) are in the line.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        # A thread serves many requests: no field of an earlier one may be left.
        clear_contextvars()
        outcome = _outcome.set(ANSWERED)
        try:
            request_id = request_id_for(request.META.get("HTTP_X_REQUEST_ID"))
            bind_contextvars(requestId=request_id)
            response = self.get_response(request)
            response.headers[HEADER] = request_id
            _log_answer(request, response.status_code, started)
        finally:
            _outcome.reset(outcome)
            clear_contextvars()
        return response


def request_id_for(given: str | None) -> str:
    """The id that the client sent, if it is a short plain word; else a new one."""
    return given if given and _PLAIN.fullmatch(given) else new_id()


def bind_log_fields(**fields: object) -> None:
    """Add fields to the lines of the request in hand, and to the line of its answer."""
    bind_contextvars(**fields)


def set_log_outcome(words: str) -> None:
    """Use these words as the event of the answer's line, in place of "answered"."""
    _outcome.set(words)


def duration_ms(started: float) -> float:
    """The milliseconds since an instant of time.perf_counter."""
    return round((time.perf_counter() - started) * 1000, 3)


def _log_answer(request: HttpRequest, status: int, started: float) -> None:
    fields = {"method": request.method, "path": request.path[:LONGEST_PATH], "status": status}
    # What the rate limit refuses is counted in a metric, because a flood must not fill the log.
    is_routine = request.path.startswith(ROUTINE) or status == TooManyRequests.status
    log = logger.debug if is_routine else logger.info
    # A user of the admin, if the page has read who is signed in: to read it here would be a query.
    signed_in = getattr(request, "_cached_user", None)
    if signed_in is not None and signed_in.pk is not None:
        fields["userId"] = signed_in.pk
    log(_outcome.get(), **fields, durationMs=duration_ms(started))


def new_id() -> str:
    """An id for a request or a run that has none."""
    return uuid.uuid4().hex
