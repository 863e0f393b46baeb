"""The rate limit, the counting of requests, and what only the pages have a use for, the admin above all."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django_prometheus.middleware import PrometheusAfterMiddleware
from rest_framework.request import Request

from base.telemetry.processes import count_garbage
from base.web.answers import refusal_headers
from base.web.authentication import KEY_HEADER, OTHER_KEY_HEADER, TOKEN_HEADER, Caller, caller_of, is_known_staff
from base.web.dialects import in_words_of
from base.web.errors import ExchangeError, TooManyRequests, error_body
from base.web.ratelimit.addresses import begin_request, origin_of
from base.web.ratelimit.meter import Meter, credential_sent

# Where a request keeps its meter; no header of a client's can have such a name.
_METER = "exchange.meter"
# An API request signs in by its token; whoever asks for the exchange's health or description does not sign in at all.
WITHOUT_SESSION = ("/api/", "/udf/", "/coingecko/", "/health/", "/metrics", "/swagger-ui.html", "/actuator/", "/v3/")


class RateLimit:
    """Counts each request to the API before anything else is done for it, and adds what is left to each answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        meter = _meter(request)
        if not meter.is_due:
            return self._get_response(request)
        response: HttpResponseBase
        try:
            _count(meter, caller_of(request))
            request.META[_METER] = meter
            response = self._get_response(request)
        except TooManyRequests as refusal:
            response = _refuse(in_words_of(request.path_info, refusal))
        if response.status_code == TooManyRequests.status:
            # Django writes a warning for each refusal that is not marked so. These are counted: a flood must not fill
            # the log.
            response._has_been_logged = True  # type: ignore[attr-defined]
            sent = map(request.META.get, (KEY_HEADER, OTHER_KEY_HEADER, TOKEN_HEADER))
            meter.remember(credential_sent(request.path_info, *sent))
        for name, value in meter.headers.items():
            response[name] = value
        return response


def weigh(request: Request, cost: int) -> None:
    """The request costs so many, or all that a second has. Raises TooManyRequests."""
    meter: Meter | None = request.META.get(_METER)
    if meter is not None:
        meter.weigh(cost)


def _count(meter: Meter, caller: Caller | None) -> None:
    """What staff do in an emergency is not counted, and no cancel of theirs is refused. Raises TooManyRequests."""
    if meter.is_emergency and is_known_staff(caller):
        return
    try:
        meter.count(caller)
    except TooManyRequests:
        if not (meter.is_cancel and is_known_staff(caller)):
            raise


def _refuse(refusal: TooManyRequests) -> JsonResponse:
    return JsonResponse(error_body(refusal), status=refusal.status, headers=refusal_headers(refusal))


def _meter(request: HttpRequest) -> Meter:
    origin = origin_of(request.META)
    begin_request(*origin)
    return Meter(request.method or "", request.path_info, *origin)


class _PagesOnly:
    """Steps aside where nobody signs in by a session."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(WITHOUT_SESSION):
            response: HttpResponseBase = self.get_response(request)
            return response
        return super().__call__(request)  # type: ignore[misc, no-any-return]


class Sessions(_PagesOnly, SessionMiddleware):
    pass


class SignIn(_PagesOnly, AuthenticationMiddleware):
    pass


class Messages(_PagesOnly, MessageMiddleware):
    pass


class Csrf(_PagesOnly, CsrfViewMiddleware):
    def process_view(self, request: HttpRequest, *view: Any) -> Any:
        return None if request.path_info.startswith(WITHOUT_SESSION) else super().process_view(request, *view)


class PageRefusals:
    """A refusal of a page's form, such as that too many passwords are hashed, as a line of text."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_exception(self, _request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, ExchangeError):
            return None
        headers = refusal_headers(error)
        return HttpResponse(error.message, "text/plain; charset=utf-8", error.status, headers=headers)


class Counting(PrometheusAfterMiddleware):  # type: ignore[misc]
    """django-prometheus's, which gives each word that comes as a method a time series of its own, for ever."""

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        count_garbage()
        return super().process_response(request, response)

    def label_metric(self, metric: Any, request: HttpRequest, response: Any = None, **labels: str) -> Any:
        if "method" in labels:
            labels["method"] = self._method(request)
        return super().label_metric(metric, request, response, **labels)
