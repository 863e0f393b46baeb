"""Refusing whoever was told to wait, before the request has a thread.

What is read here of a request decides nothing else: one that cannot be read in this way is served as any other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

from base.servers.asgi import Application, Receive, Scope, Send, encoded, send_refusal
from base.telemetry.access import HEADER, request_id_for
from base.web.dialects import in_words_of
from base.web.errors import TooManyRequests
from base.web.exposure import exposing_headers
from base.web.ratelimit.addresses import client_network
from base.web.ratelimit.meter import Meter, credential_sent

_KEYS = ("x-api-key", "x-mbx-apikey")
_WANTED = ("authorization", *_KEYS, "x-forwarded-for", "x-request-id", "origin", "connection")
_CLOSING = (b"connection", b"close")


class Refusal(NamedTuple):
    error: TooManyRequests
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Head:
    """Of a request what is looked at; `fields` has the wanted headers, in lower case, with several values joined."""

    method: str
    path: str
    fields: Mapping[str, str]
    is_kept: bool = True


def read_head(text: bytes) -> Head | None:
    """None where it is none that this reads."""
    first, *lines = text.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    target, _, version = rest.partition(" ")
    if not target.startswith("/") or version not in ("HTTP/1.1", "HTTP/1.0"):
        return None
    fields = _wanted((name.lower(), value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines))
    is_kept = version == "HTTP/1.1" and "close" not in fields.get("connection", "").lower()
    return Head(method, unquote(target.partition("?")[0]), fields, is_kept)


def refusal_of(head: Head, peer: str) -> Refusal | None:
    """The answer to a request whose sender was told to wait; None for any other. Preflights sign nobody in."""
    if head.method == "OPTIONS":
        return None
    meter = Meter(head.method, head.path, peer, head.fields.get("x-forwarded-for", ""))
    try:
        meter.recall(_credential(head))
    except TooManyRequests as error:
        exposing = exposing_headers(head.path, head.method, head.fields.get("origin"))
        in_words_of(head.path, error)
        return Refusal(error, {**meter.headers, **exposing, HEADER: request_id_for(head.fields.get("x-request-id"))})
    return None


def sender_of(head: Head | None, peer: str) -> str:
    """Whose request it is: who signs in by what it brings, or else its address; of what is urgent, nobody's.

    The name of a key is no secret, so what comes under it from another address is another sender's: whoever knows the
    name must not put its owner's requests behind all others.
    """
    if head is None:
        return peer
    forwarded_for = head.fields.get("x-forwarded-for", "")
    if Meter(head.method, head.path, peer, forwarded_for).is_urgent:
        return ""
    network, credential = client_network(peer, forwarded_for), _credential(head)
    is_by_token = bool(credential) and credential == head.fields.get("authorization")
    return credential if is_by_token else f"{network} {credential}".strip()


def _credential(head: Head) -> str:
    return credential_sent(head.path, *map(head.fields.get, (*_KEYS, "authorization")))


def _wanted(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """As WSGI has them: those that come twice are joined."""
    fields: dict[str, str] = {}
    for name, value in headers:
        if name in _WANTED:
            fields[name] = f"{fields[name]},{value}" if name in fields else value
    return fields


class BeforeThreads:
    """Around an ASGI application that runs in threads."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        peer, _ = scope.get("client") or ("", 0)
        refusal = refusal_of(Head(scope["method"], scope["path"], _wanted(headers)), peer)
        if refusal is None:
            await self._application(scope, receive, send)
            return
        # A body that nobody reads would be taken for the next request.
        has_body = any(name in ("content-length", "transfer-encoding") and value != "0" for name, value in headers)
        more = [*encoded(refusal.headers), (b"cache-control", b"no-store"), *([_CLOSING] if has_body else [])]
        await send_refusal(send, refusal.error, more)
