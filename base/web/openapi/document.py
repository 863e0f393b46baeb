"""The finishing of the document: names for shapes, the headers that all answers share, how one signs in."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from base.web.openapi.operations import BEARER, SESSION, TICKET
from base.web.openapi.refusals import MEANINGS, refusal_schema
from base.web.openapi.shapes import COUNT, Shape

API = "/api/v1/"
SECURITY_SCHEMES = {
    BEARER: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access token of POST /api/v1/auth/token.",
    },
    TICKET: {
        "type": "apiKey",
        "in": "query",
        "name": "ticket",
        "description": "Of POST /api/v1/stream/tickets: opens one stream, once, within 30 seconds.",
    },
    SESSION: {
        "type": "apiKey",
        "in": "cookie",
        "name": settings.SESSION_COOKIE_NAME,
        "description": "The session of somebody who is signed in to the admin.",
    },
}
HEADERS: dict[str, Any] = {
    "X-RateLimit-Limit": {"description": "So many requests are let in within any second.", "schema": COUNT},
    "X-RateLimit-Remaining": {"description": "So many are left of them now.", "schema": COUNT},
    "X-RateLimit-Reset": {"description": "When all are left again, in Unix seconds, rounded up.", "schema": COUNT},
    "Retry-After": {"description": "Come again after so many seconds.", "required": True, "schema": COUNT},
    "WWW-Authenticate": {
        "description": "How to sign in.",
        "required": True,
        "schema": {"const": 'Bearer realm="api"'},
    },
}
_RATE = [name for name in HEADERS if name.startswith("X-RateLimit-")]
_BY_STATUS = {"401": ["WWW-Authenticate"], "429": ["Retry-After"], "503": ["Retry-After"]}


def finish(document: dict[str, Any], more_paths: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the paths that Django does not serve, and with everything that they share."""
    paths: dict[str, Any] = dict(sorted({**document["paths"], **more_paths}.items()))
    for path, operations in paths.items():
        for operation in operations.values():
            if path.startswith(API):
                _add_headers(operation)
    shapes: dict[str, Shape] = {}
    responses = _named({"MethodNotAllowed": _method_not_allowed()}, shapes)
    finished: dict[str, Any] = _named({**document, "paths": paths}, shapes)
    forms = document["components"].get("schemas", {})
    assert not forms.keys() & shapes.keys(), "a form and a shape have the same name"
    schemas = {**forms, **{name: _named(shape.schema, shapes) for name, shape in shapes.items()}}
    finished["components"] = {
        "schemas": dict(sorted(schemas.items())),
        "responses": responses,
        "headers": HEADERS,
        "securitySchemes": SECURITY_SCHEMES,
    }
    return finished


def _method_not_allowed() -> dict[str, Any]:
    """The one refusal that no operation can have: it is for the methods that are not described."""
    return {
        "description": MEANINGS[405],
        "content": {"application/json": {"schema": refusal_schema(405, ["METHOD_NOT_ALLOWED"])}},
    }


def _add_headers(operation: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        shared = [*_RATE, *_BY_STATUS.get(status, ())]
        references = {name: {"$ref": f"#/components/headers/{name}"} for name in shared}
        response["headers"] = {**response.get("headers", {}), **references}


def _named(node: Any, shapes: dict[str, Shape]) -> Any:
    """The same with references in place of shapes; `shapes` collects them, with those that they are made of."""
    if isinstance(node, Shape):
        if node.name not in shapes:
            shapes[node.name] = node
            _named(node.schema, shapes)
        assert shapes[node.name] is node, f"two shapes are called {node.name}"
        return {"$ref": f"#/components/schemas/{node.name}"}
    if isinstance(node, dict):
        return {key: _named(value, shapes) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_named(value, shapes) for value in node]
    return node
