"""Bodies for an application that runs in threads: they are received before it is called, in time or not at all."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings

from base.web.errors import ExchangeError, RequestTimeout, error_body
from base.web.hardening import hardened

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

FRAMED = (b"content-length", b"transfer-encoding")


class WholeBodies:
    """Of a body that is too large the application is given one byte more than it takes, and refuses it by that."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if not any(name in FRAMED and value != b"0" for name, value in scope["headers"]):
            await self._application(scope, receive, send)
            return
        try:
            async with asyncio.timeout(settings.REQUEST_SECONDS):
                body = await _received(receive)
        except TimeoutError:
            await _refuse(send, RequestTimeout(f"a request must have arrived within {settings.REQUEST_SECONDS} s"))
            return
        if body is not None:
            headers = [(name, value) for name, value in scope["headers"] if name not in FRAMED]
            headers.append((b"content-length", str(len(body)).encode()))
            await self._application({**scope, "headers": headers}, _replay(body, receive), send)


async def _received(receive: Receive) -> bytes | None:
    """The body, or what is enough of it; None where its client has gone."""
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")[: most - len(body)]
        if not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return left.pop() if left else await receive()

    return replayed


async def _refuse(send: Send, refusal: ExchangeError) -> None:
    body = json.dumps(error_body(refusal)).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": hardened(headers)})
    await send({"type": "http.response.body", "body": body})
