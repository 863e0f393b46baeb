"""One line for each request, under an id that all that is logged meanwhile carries."""

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
# Asked for all the time, by machines and by the admin's pages.
ROUTINE = ("/health/", "/metrics", "/static/")
LONGEST_PATH = 200
ANSWERED = "answered"
_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")
_outcome: ContextVar[str] = ContextVar("outcome", default=ANSWERED)


class AccessLog:
    """Binds the request's id, answers it, and says what was answered. No query: a ticket may be in it.

    What was noted meanwhile (`userId`, `orderId`, `error`...) is in the line.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        # The threads that serve requests are used again: nothing of an earlier one may be left.
        clear_contextvars()
        outcome = _outcome.set(ANSWERED)
        try:
            request_id = request_id_for(request.META.get("HTTP_X_REQUEST_ID"))
            bind_contextvars(requestId=request_id)
            response = self.get_response(request)
            response.headers[HEADER] = request_id
            _say(request, response.status_code, started)
        finally:
            _outcome.reset(outcome)
            clear_contextvars()
        return response


def request_id_for(given: str | None) -> str:
    """The client's own id, if it is a short plain word; else a new one."""
    return given if given and _PLAIN.fullmatch(given) else new_id()


def bind_log_fields(**fields: object) -> None:
    """Add fields to the lines of the request in hand, and to the one that tells its answer."""
    bind_contextvars(**fields)


def set_log_outcome(words: str) -> None:
    """What the line that tells the answer says, instead of "answered"."""
    _outcome.set(words)


def duration_ms(started: float) -> float:
    """Since an instant of time.perf_counter."""
    return round((time.perf_counter() - started) * 1000, 3)


def _say(request: HttpRequest, status: int, started: float) -> None:
    fields = {"method": request.method, "path": request.path[:LONGEST_PATH], "status": status}
    # What the rate limit refuses is counted: a flood must not fill the log.
    is_routine = request.path.startswith(ROUTINE) or status == TooManyRequests.status
    say = logger.debug if is_routine else logger.info
    # Of those who signed in to the admin: not asked for where nobody has looked yet, for that would be a query.
    signed_in = getattr(request, "_cached_user", None)
    if signed_in is not None and signed_in.pk is not None:
        fields["userId"] = signed_in.pk
    say(_outcome.get(), **fields, durationMs=duration_ms(started))


def new_id() -> str:
    """For a request or a run that has none."""
    return uuid.uuid4().hex
