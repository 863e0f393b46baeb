"""Compare answers and events with the API's description."""

import functools
import re
from typing import Any

from jsonschema_rs import Draft202012Validator

from base.web.openapi.pages import document

METHODS = {"get", "post", "put", "patch", "delete"}


@functools.cache
def described() -> dict[str, Any]:
    """The description with every object closed: what it does not name must not be answered."""
    closed: dict[str, Any] = _closed(document())
    return closed


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    """Every operation, by method and path."""
    return {
        (method.upper(), path): operation
        for path, methods in described()["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    }


def json_body(method: str, path: str) -> dict[str, Any]:
    """What is described of the operation's body: its schema and examples. Empty where it takes none."""
    content: dict[str, Any] = operations().get((method, path), {}).get("requestBody", {}).get("content", {})
    body: dict[str, Any] = content.get("application/json", {})
    return body


def check_answer(method: str, path: str, status: int, media_type: str, body: Any) -> None:
    """Raises AssertionError for an answer that is not described. Paths that are not described are not judged."""
    described_path = template(path)
    if described_path is None:
        return
    name = f"{method} {described_path} {status}"
    operation = described()["paths"][described_path].get(method.lower())
    if operation is None and (method == "OPTIONS" or status == 429):
        # Any request may exceed the rate limit.
        return
    if operation is None and status == 403:
        # The permission is checked before the method.
        return
    if operation is None:
        assert status == 405, f"{name}: the method is not described"
        check(body, described()["components"]["responses"]["MethodNotAllowed"]["content"]["application/json"], name)
        return
    response = operation["responses"].get(str(status))
    assert response is not None, f"{name} is not described: {body}"
    media_type = media_type.partition(";")[0]
    assert media_type in response["content"], f"{name}: {media_type} is not described"
    check(body, response["content"][media_type], name)


def check_event(path: str, event: dict[str, Any]) -> None:
    """Raises AssertionError for an event that is not in the stream's description."""
    content = described()["paths"][path]["get"]["responses"]["200"]["content"]["text/event-stream"]
    check(event, content, f"{path} {event['event']}")


def check(value: Any, content: dict[str, Any], name: str) -> None:
    error = next(iter(_validator(_Identity(content["schema"])).iter_errors(value)), None)
    assert error is None, f"{name}: {error.instance_path} {error.message}\n{value}"


class _Identity:
    """A schema as the argument of a cached function. It never changes while the process runs."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.schema is other.schema

    def __hash__(self) -> int:
        return id(self.schema)


@functools.cache
def _validator(identity: _Identity) -> Draft202012Validator:
    return Draft202012Validator({**identity.schema, "components": described()["components"]})


@functools.cache
def _templates() -> list[tuple[str, re.Pattern[str]]]:
    """Paths without parameters first, because /orders/batch is not the path of an order."""
    paths = sorted(described()["paths"], key=lambda path: path.count("{"))
    return [(path, re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))) for path in paths]


@functools.lru_cache(maxsize=4096)
def template(path: str) -> str | None:
    """The path in the description that a request's path belongs to."""
    called = path.partition("?")[0]
    return next((known for known, pattern in _templates() if pattern.fullmatch(called)), None)


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {name: _closed(value) for name, value in node.items()}
    if node.get("type") == "object" and "properties" in node:
        closed.setdefault("additionalProperties", False)
    return closed
