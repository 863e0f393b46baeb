"""The headers by which a browser takes an answer for what it is: of every answer, whichever server gives it.

nginx adds the same to what it answers itself (deploy/nginx/nginx.conf).
"""

from collections.abc import Callable, Iterable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

# Of what is no page: shown as one, it may load and do nothing.
NO_PAGE = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# The admin's pages load from this server alone. Its styles have pictures in them.
ADMIN_PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": NO_PAGE,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
# What may be kept: files of pages. A call of the API says itself what may be.
_KEPT = ("/static/", "/api/", "/udf/", "/coingecko/", "/swagger-ui.html", "/v3/")


class Hardening:
    """The outermost middleware of those that change an answer, because refusals of the others need the headers too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if request.path_info.startswith("/admin/") and response.headers.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Content-Security-Policy", ADMIN_PAGE)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if not request.path_info.startswith(_KEPT):
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def hardened(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The same for an answer that does not come through Django."""
    own = list(headers)
    names = {name.lower() for name, _ in own}
    return [*own, *(pair for pair in RAW_HEADERS if pair[0] not in names)]
