"""A request for a stream, read from the ASGI scope. Whatever the client sends, it can be read."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from django.http.cookie import parse_cookie

from base.web.ratelimit.addresses import client_network
from base.web.ratelimit.meter import Meter

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class StreamRequest:
    """Of a header that comes twice the last one counts. `meter` counts it as one request.

    `names` are those of all parameters, a name that comes twice included.
    """

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    names: Sequence[str]
    meter: Meter

    @classmethod
    def from_scope(cls, scope: Scope) -> "StreamRequest":
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        return cls(scope.get("method", "GET"), headers, dict(query), [name for name, _ in query], _meter(scope))

    @property
    def cookies(self) -> Mapping[str, str]:
        return parse_cookie(self.headers.get("cookie", ""))

    @property
    def last_event_id(self) -> str | None:
        """What the client saw last. A page that makes its EventSource anew cannot set the header, but a parameter."""
        return self.headers.get("last-event-id") or self.query.get("lastEventId") or None

    @property
    def address(self) -> str:
        return client_network(*self.meter.origin)

    def signing(self, *, token: str | None, ticket: str | None) -> "StreamRequest":
        """The request of somebody who signs in by these alone, and not by what the connection brought along."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        query = {} if ticket is None else {"ticket": ticket}
        return StreamRequest(self.method, headers, query, [*query], self.meter)


def _meter(scope: Scope) -> Meter:
    """Of X-Forwarded-For all counts that was sent: each proxy may have added a line of its own."""
    peer, _ = scope.get("client") or ("", 0)
    forwarded_for = ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for")
    return Meter(scope.get("method", "GET"), scope["path"], peer, forwarded_for)
