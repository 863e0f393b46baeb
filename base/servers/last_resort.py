"""What a defect is answered with where it is not Django's to answer: uvicorn itself would send a line of text."""

import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from base.web.errors import ExchangeError, error_body
from base.web.hardening import hardened

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]


class LastResort:
    """Around an ASGI application. A WebSocket whose handshake fails is answered in the same way."""

    def __init__(self, application: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Scope) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._application(scope, receive, noted)
        except Exception:
            if begun or scope["type"] not in _ANSWERS:
                raise
            logger.exception("a request could not be answered")
            await _answer(_ANSWERS[scope["type"]], send)


_ANSWERS = {"http": "http.response", "websocket": "websocket.http.response"}


async def _answer(kind: str, send: Send) -> None:
    body = json.dumps(error_body(ExchangeError("something broke: the outcome is unknown"))).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": f"{kind}.start", "status": ExchangeError.status, "headers": hardened(headers)})
    await send({"type": f"{kind}.body", "body": body})
