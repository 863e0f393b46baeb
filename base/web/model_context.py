"""Programs by which a language model trades (MCP servers): let in only where the operator wants that.

Such a program says so in a header. That is a declaration and no proof: whoever leaves the header away is a client like
any other, with the same powers and limits. What the operator decides is whether those that say it are served.
"""

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from base.web.errors import McpNotAllowed, error_body

HEADER = "X-MCP-Client"
# Which exchange it is, and whether they are let in, anybody may ask.
OPEN_PATHS = ("/api/v1/info", "/api/v1/time")


class ModelContext:
    """Refuses them. Not there at all where MCP_ALLOWED is on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if settings.MCP_ALLOWED:
            raise MiddlewareNotUsed("MCP_ALLOWED is on")
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if HEADER in request.headers and request.path_info.startswith("/api/") and request.path_info not in OPEN_PATHS:
            refusal = McpNotAllowed()
            return JsonResponse(error_body(refusal), status=refusal.status)
        return self._get_response(request)
