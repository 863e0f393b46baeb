"""What everybody may see and what its owner alone: which answers may be kept, and which other sites may read them.

A call is public if it is a GET that anybody may make: its view says so. Pages of any origin may read what is public,
without credentials; what is private may be read by the pages of CORS_ORIGINS, and no cache keeps it. Cookies are never
let in from another origin: a page signs in by a token of its own.
"""

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, resolve
from django.utils.cache import patch_vary_headers
from rest_framework.settings import api_settings

from base.web.errors import ExchangeError

# The formats of other systems (marketdata.formats) are as public as the calls that they translate.
API = ("/api/", "/udf/", "/coingecko/")
NO_STORE = "no-store"
PREFLIGHT_STATUS = 204
_READING = ("GET", "HEAD")
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_HEADERS = "Content-Type, Last-Event-ID, X-Request-ID"
_SIGNING_IN = "Authorization, X-API-Key, X-Timestamp, X-Recv-Window, X-Signature, X-MBX-APIKEY"
_SHOWN = (
    "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, X-Request-ID, Idempotent-Replayed,"
    " Content-Disposition, X-Sandbox-Fault, X-Sandbox-Request,"
    " X-MBX-USED-WEIGHT-1M, X-MBX-ORDER-COUNT-10S, X-MBX-ORDER-COUNT-1D"
)
# Browsers ask again after this time, and not before each request.
_REMEMBERED_SECONDS = "600"


class Exposure:
    """Adds to each answer of the API who may keep it and read it, and answers preflights by itself: they sign nobody in
    and count as no request.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(API):
            return self._get_response(request)
        origin, wanted = request.headers.get("Origin"), request.headers.get("Access-Control-Request-Method")
        if request.method == "OPTIONS" and origin and wanted:
            headers = preflight_headers(origin, is_public=_is_public(request.path_info, wanted))
            return HttpResponse(status=PREFLIGHT_STATUS, headers=headers)
        response = self._get_response(request)
        is_public = _is_public(request.path_info, request.method or "", request.resolver_match)
        for name, value in cross_origin_headers(origin, is_public=is_public).items():
            response[name] = value
        if not is_public:
            response.setdefault("Cache-Control", NO_STORE)
            patch_vary_headers(response, ["Origin"])
        return response


def cross_origin_headers(origin: str | None, *, is_public: bool) -> dict[str, str]:
    """The headers by which a browser shows the answer to a page of that origin; none where it may not."""
    if not is_public and origin not in settings.CORS_ORIGINS:
        return {}
    return {"Access-Control-Allow-Origin": "*" if is_public else str(origin), "Access-Control-Expose-Headers": _SHOWN}


def preflight_headers(origin: str, *, is_public: bool) -> dict[str, str]:
    """What a page of that origin may send. Only those of CORS_ORIGINS may sign in."""
    allowed = cross_origin_headers(origin, is_public=is_public)
    if allowed:
        del allowed["Access-Control-Expose-Headers"]
        is_listed = origin in settings.CORS_ORIGINS
        allowed["Access-Control-Allow-Methods"] = _METHODS if is_listed else ", ".join(_READING)
        allowed["Access-Control-Allow-Headers"] = f"{_SIGNING_IN}, {_HEADERS}" if is_listed else _HEADERS
        allowed["Access-Control-Max-Age"] = _REMEMBERED_SECONDS
    return {**allowed, "Vary": "Origin"}


def lets_in(view: Any, method: str, user: Any) -> bool:
    """Whether the view's permissions let the user call the method."""
    request = SimpleNamespace(method=method, user=user)
    try:
        return all(permission.has_permission(request, view) for permission in view.get_permissions())
    except ExchangeError:
        return False


def exposing_headers(path: str, method: str, origin: str | None) -> dict[str, str]:
    """What this middleware adds, for an answer that does not come through Django."""
    is_public = _is_public(path, method)
    headers = cross_origin_headers(origin, is_public=is_public)
    return headers if is_public else {**headers, "Vary": "Origin"}


def _is_public(path: str, method: str, match: ResolverMatch | None = None) -> bool:
    """`match` is None where the request was refused before its view was looked for, and of a preflight."""
    if method not in _READING:
        return False
    try:
        match = match or resolve(path)
    except Http404:
        return False
    return _is_open(getattr(match.func, "cls", None))


@functools.cache
def _is_open(view: Any) -> bool:
    """Whether anybody may read what the class of views answers."""
    anybody: Any = api_settings.UNAUTHENTICATED_USER
    return view is not None and hasattr(view, "get") and lets_in(view(), "GET", anybody())
