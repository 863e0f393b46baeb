"""Middleware: what only the pages have a use for, the admin above all; and the counting of requests."""

from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django_prometheus.middleware import PrometheusAfterMiddleware

# An API request signs in by its token, and whoever asks for the exchange's health does not sign in at all.
WITHOUT_SESSION = ("/api/", "/health/", "/metrics")


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


class Counting(PrometheusAfterMiddleware):  # type: ignore[misc]
    """django-prometheus's, which gives each word that comes as a method a time series of its own, for ever."""

    def label_metric(self, metric: Any, request: HttpRequest, response: Any = None, **labels: str) -> Any:
        if "method" in labels:
            labels["method"] = self._method(request)
        return super().label_metric(metric, request, response, **labels)
