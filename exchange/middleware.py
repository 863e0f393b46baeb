"""Middleware of the pages, the admin above all, that other requests have no use for."""

from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware

# An API request signs in by its token; whoever asks for the exchange's health or description does not sign in at all.
WITHOUT_SESSION = ("/api/", "/health/", "/swagger-ui.html")


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
