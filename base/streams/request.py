"""A request for a stream, read from the ASGI scope. Whatever the client sends, it can be read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from django.http.cookie import parse_cookie

from base.servers.asgi import Scope
from base.web.keys.signed import HEADERS as SIGNATURE_HEADERS
from base.web.keys.signed import KEY as KEY_HEADER
from base.web.keys.signed import SignedRequest, scope_target
from base.web.ratelimit.addresses import client_address, client_network
from base.web.ratelimit.meter import Meter


@dataclass(frozen=True)
class StreamRequest:
    """Of a header that comes twice the last one counts, but for those of a signature. `meter` counts it as one request.

    `names` are those of all parameters, a name that comes twice included; `target` is what was written of both path and
    query.
    """

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    names: Sequence[str]
    meter: Meter
    target: bytes = b""
    # Whether it is a sign-in over a WebSocket.
    opens_socket: bool = False

    @classmethod
    def from_scope(cls, scope: Scope) -> "StreamRequest":
        fields = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        headers = dict(fields)
        for name in SIGNATURE_HEADERS:
            if name in headers:
                # As a WSGI server has it: two of them are no signature.
                headers[name] = ",".join(value for each, value in fields if each == name)
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        names = [name for name, _ in query]
        return cls(scope.get("method", "GET"), headers, dict(query), names, _meter(scope), scope_target(scope))

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

    def signing(
        self, *, token: str | None = None, ticket: str | None = None, key: Mapping[str, str] | None = None
    ) -> "StreamRequest":
        """The request of somebody who signs in by these alone, and not by what the connection brought along.

        `key` has the headers of a signature of the request that opened the connection, without a query.
        """
        headers = dict(key or {}) if token is None else {"authorization": f"Bearer {token}"}
        query = {} if ticket is None else {"ticket": ticket}
        target = self.target.partition(b"?")[0]
        return StreamRequest(self.method, headers, query, [*query], self.meter, target, opens_socket=True)

    @property
    def signed(self) -> SignedRequest | None:
        """What a key signed of it; None if there is no key."""
        if KEY_HEADER not in self.headers:
            return None
        signed = SignedRequest.read(self.headers, self.method, self.target, b"", client_address(*self.meter.origin))
        return replace(signed, opens_socket=self.opens_socket)


def _meter(scope: Scope) -> Meter:
    """Of X-Forwarded-For all counts that was sent: each proxy may have added a line of its own."""
    peer, _ = scope.get("client") or ("", 0)
    forwarded_for = ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for")
    return Meter(scope.get("method", "GET"), scope["path"], peer, forwarded_for)
