"""The finishing of the description: schemas for types, the headers that all answers share, how one signs in."""

import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from base.web.errors import MethodNotAllowed
from base.web.openapi.operations import API_KEY, BEARER, KEY_SIGNATURE, KEY_TIMESTAMP, REFUSALS, SESSION, TICKET
from base.web.openapi.refusals import Refused, refusal_responses, with_schemas

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
    API_KEY: {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The `keyId` of POST /api/v1/keys; the key needs the scope that stands beside it.",
    },
    KEY_TIMESTAMP: {
        "type": "apiKey",
        "in": "header",
        "name": "X-Timestamp",
        "description": (
            "The time of signing, in milliseconds since 1970: at most `X-Recv-Window` milliseconds ago (5000 without"
            " that header, at most 60000), and no more than 5000 ahead."
        ),
    },
    KEY_SIGNATURE: {
        "type": "apiKey",
        "in": "header",
        "name": "X-Signature",
        "description": (
            "Hex HMAC-SHA256, or base64 Ed25519, over timestamp + method + path with query + body, as they are sent."
            " Good once."
        ),
    },
}
_COUNT = {"type": "integer", "minimum": 0}
HEADERS: dict[str, Any] = {
    "X-RateLimit-Limit": {"description": "So many requests are let in within any second.", "schema": _COUNT},
    "X-RateLimit-Remaining": {"description": "So many are left of them now.", "schema": _COUNT},
    "X-RateLimit-Reset": {"description": "When all are left again, in Unix seconds, rounded up.", "schema": _COUNT},
    "Retry-After": {"description": "Come again after so many seconds.", "required": True, "schema": _COUNT},
    "WWW-Authenticate": {
        "description": "How to sign in.",
        "required": True,
        "schema": {"const": 'Bearer realm="api"'},
    },
}
_RATE = [name for name in HEADERS if name.startswith("X-RateLimit-")]
_BY_STATUS = {"401": ["WWW-Authenticate"], "429": ["Retry-After"], "503": ["Retry-After"]}


# What stands in paths, by name: its type, and the refusal of one that names nothing.
InPaths = Mapping[str, tuple[Any, Refused]]


def finish(document: dict[str, Any], more_paths: Mapping[str, Any], in_paths: InPaths) -> dict[str, Any]:
    """The document with the paths that are no views of the REST framework, and with everything that they share."""
    paths = {
        path: {method: _completed(path, operation, in_paths) for method, operation in operations.items()}
        for path, operations in sorted({**document["paths"], **more_paths}.items())
    }
    # The one refusal that no operation can have, because it is answered to the methods that are not described.
    responses = {"MethodNotAllowed": refusal_responses([MethodNotAllowed])["405"]}
    components = {"responses": responses, "headers": HEADERS, "securitySchemes": SECURITY_SCHEMES}
    finished, schemas = with_schemas({**document, "paths": paths, "components": components})
    finished["components"]["schemas"] = dict(sorted(schemas.items()))
    described: dict[str, Any] = finished
    return described


def _completed(path: str, operation: Mapping[str, Any], in_paths: InPaths) -> dict[str, Any]:
    """The operation with its refusals, the parameters of its path, and the headers that answers of the API share."""
    named = {name: in_paths[name] for name in re.findall(r"\{(\w+)\}", path)}
    parameters = [
        {"in": "path", "name": name, "schema": schema, "required": True} for name, (schema, _) in named.items()
    ]
    refusals = [*operation[REFUSALS], *(refusal for _, refusal in named.values())]
    responses = {**operation["responses"], **refusal_responses(refusals)}
    if path.startswith(API):
        responses = {status: _with_headers(status, response) for status, response in responses.items()}
    kept = {name: value for name, value in operation.items() if name != REFUSALS}
    return {**kept, "parameters": [*parameters, *operation.get("parameters", ())], "responses": responses}


def _with_headers(status: str, response: Mapping[str, Any]) -> dict[str, Any]:
    shared = [*_RATE, *_BY_STATUS.get(status, ())]
    references = {name: {"$ref": f"#/components/headers/{name}"} for name in shared}
    return {**response, "headers": {**response.get("headers", {}), **references}}
