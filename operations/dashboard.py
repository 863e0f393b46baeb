"""The overview on the admin's first page, and by itself, for the script that renews it there."""

from typing import Any

from django import template
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from operations.figures import HEIGHT, WIDTH
from operations.overview import read_overview

register = template.Library()


@never_cache
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """The figures without the page around them. For staff alone, because the URL is the admin's."""
    return TemplateResponse(request, "admin/overview.html", overview_context(request))


def overview_context(request: HttpRequest) -> dict[str, Any]:
    """The figures that the reader may see, and links to Flower and Grafana."""
    links = {"Flower": settings.FLOWER_URL, "Grafana": settings.GRAFANA_URL}
    return {
        "overview": read_overview(request.user.has_perm),
        "links": {name: url for name, url in links.items() if url},
        "picture_width": WIDTH,
        "picture_height": HEIGHT,
        "reader_id": request.user.pk,
    }


@register.inclusion_tag("admin/overview.html", takes_context=True, name="overview")
def overview_tag(context: dict[str, Any]) -> dict[str, Any]:
    """The overview on the admin's first page."""
    return overview_context(context["request"])
