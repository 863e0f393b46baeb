"""A request for a stream, read from the ASGI scope. Whatever the client sends, it can be read."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from django.http.cookie import parse_cookie


@dataclass(frozen=True)
class StreamRequest:
    """Of a header or parameter that comes twice the last one counts."""

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]

    @classmethod
    def from_scope(cls, scope: MutableMapping[str, Any]) -> "StreamRequest":
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        return cls(scope["method"], headers, query)

    @property
    def cookies(self) -> Mapping[str, str]:
        return parse_cookie(self.headers.get("cookie", ""))

    @property
    def last_event_id(self) -> str | None:
        """What the client saw last. A page that makes its EventSource anew cannot set the header, but a parameter."""
        return self.headers.get("last-event-id") or self.query.get("lastEventId") or None
