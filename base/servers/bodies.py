"""Bodies for an application that runs in threads: they are received before it is called, in time or not at all."""

import asyncio

from django.conf import settings

from base.servers.asgi import Application, Message, Receive, Scope, Send, send_refusal
from base.web.errors import RequestTimeout

CLOSING = [(b"cache-control", b"no-store"), (b"connection", b"close")]
FRAMED = (b"content-length", b"transfer-encoding")


class WholeBodies:
    """Of a body that is too large the application is given one byte more than it takes, and refuses it by that."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not any(name in FRAMED and value != b"0" for name, value in scope["headers"]):
            await self._application(scope, receive, send)
            return
        try:
            async with asyncio.timeout(settings.REQUEST_SECONDS):
                body = await _received(receive)
        except TimeoutError:
            late = RequestTimeout(f"a request must have arrived within {settings.REQUEST_SECONDS} s")
            await send_refusal(send, late, CLOSING)
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
