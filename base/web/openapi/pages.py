"""The description served: as a document, and as pages to read and to try it out. Neither needs a database or Redis."""

import functools
import threading
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer, TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

# The page loads from this server alone. Inline styles are Swagger UI's own; its pictures are in its code.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@functools.cache
def document() -> dict[str, Any]:
    """The whole description, made once in each process."""
    made: dict[str, Any] = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    return made


_writing = threading.Lock()


def rendered(renderer: Any) -> bytes:
    """The description as a renderer's class writes it, once in each process.

    One thread at a time, because drf-spectacular's generator cannot run in two: the others wait for the first.
    """
    with _writing:
        # Two media types share each of the two forms. Without the indentation that drf-spectacular gives to JSON, which
        # is two thirds of it.
        return _rendered(JSONRenderer if issubclass(renderer, JSONRenderer) else OpenApiYamlRenderer)


@functools.cache
def _rendered(renderer: Any) -> bytes:
    written: bytes = renderer().render(document(), renderer_context={})
    return written


class ByFormat(DefaultContentNegotiation):
    """By `?format=json` or `?format=yaml`, else by what the client accepts."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return super().select_renderer(request, renderers, format_suffix or request.query_params.get("format"))


class SchemaView(APIView):
    """The document."""

    authentication_classes = []
    permission_classes = [AllowAny]
    content_negotiation_class = ByFormat
    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer2, OpenApiYamlRenderer]

    def get(self, request: Request) -> HttpResponse:
        renderer: Any = type(request.accepted_renderer)
        return HttpResponse(rendered(renderer), content_type=renderer.media_type)


def write_ahead() -> None:
    """Write every form of the description, so that no flood of first readers keeps the threads waiting for it."""
    for renderer in SchemaView.renderer_classes:
        rendered(renderer)


class SwaggerView(APIView):
    """Swagger UI with a form to sign in, all of its files served here."""

    authentication_classes = []
    permission_classes = [AllowAny]
    renderer_classes = [TemplateHTMLRenderer]

    def get(self, request: Request) -> Response:
        policy = {"Content-Security-Policy": PAGE_POLICY}
        is_demo = settings.DEMO and not settings.CLASSROOM
        return Response({"is_demo": is_demo}, template_name="swagger.html", headers=policy)

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        # As JSON whatever is accepted, because only the page itself has a template.
        request.accepted_renderer, request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
        response: Response = super().options(request, *args, **kwargs)
        return response
