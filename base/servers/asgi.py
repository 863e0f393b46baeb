"""What the ASGI applications have in common: the shapes of their calls, and how they refuse a request."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

from base.web.answers import refusal_headers
from base.web.errors import ExchangeError, error_body
from base.web.hardening import hardened

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

# How the messages are called that answer a request, and those that refuse the handshake of a WebSocket.
HTTP, HANDSHAKE = "http", "websocket.http"


async def send_refusal(
    send: Send, refusal: ExchangeError, more: Iterable[tuple[bytes, bytes]] = (), *, kind: str = HTTP
) -> int:
    """Answer as REST refuses, with `more` headers. Returns the status."""
    body = json.dumps(error_body(refusal)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [*more, *encoded(refusal_headers(refusal))]
    await send({"type": f"{kind}.response.start", "status": refusal.status, "headers": hardened(headers)})
    await send({"type": f"{kind}.response.body", "body": body})
    return refusal.status


def encoded(headers: Mapping[str, str]) -> Headers:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
