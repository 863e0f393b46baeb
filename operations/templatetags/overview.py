"""The overview on the admin's first page."""

from typing import Any

from django import template

from operations.dashboard import overview_context

register = template.Library()


@register.inclusion_tag("admin/overview.html", takes_context=True)
def overview(context: dict[str, Any]) -> dict[str, Any]:
    return overview_context(context["request"])
