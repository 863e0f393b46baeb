"""The API described for machines: OpenAPI 3.1, made once in each process when somebody first asks for it.

A view's method declares its call; what goes in and comes out is derived from forms and from the types of answers.
"""

from typing import Any

OPTIONS: dict[str, Any] = {
    "TITLE": "The exchange",
    "DESCRIPTION": (
        "Orders over REST, matched by one worker per market, followed by server-sent events. Every JSON answer under"
        " `/api/v1` has the same envelope. A refusal's `error` names the rule; a 5xx means unknown, never failed:"
        " repeat with the same key. A method that is not described here is answered 405 `METHOD_NOT_ALLOWED`."
    ),
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "CAMELIZE_NAMES": True,
    "POSTPROCESSING_HOOKS": ["exchange.contract.complete"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # Without the null it would have the document judged by a server on the internet.
    "SWAGGER_UI_SETTINGS": {"validatorUrl": None, "deepLinking": True, "filter": True, "docExpansion": "list"},
}
