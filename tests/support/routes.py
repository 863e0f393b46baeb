"""What the URL configuration serves, written as in the API's description."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

from base.web.values import camel

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Served(NamedTuple):
    """A method of a path, and the view's method that answers it; a view that is a function answers GET."""

    method: str
    path: str
    handler: Any


def served(patterns: Any = None, prefix: str = "/") -> Iterator[Served]:
    """Every method and path that Django serves, the admin's among them."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + re.sub(r"<(?:\w+:)?(\w+)>", lambda name: f"{{{camel(name[1])}}}", str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from served(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            yield from (Served(method, path, handler) for method, handler in _handlers(pattern.callback))


def _handlers(view: Any) -> list[tuple[str, Any]]:
    kind = getattr(view, "cls", None)
    if kind is None:
        return [("GET", view)]
    assert issubclass(kind, APIView)
    return [(method, getattr(kind, method.lower())) for method in METHODS if hasattr(kind, method.lower())]
