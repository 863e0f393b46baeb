"""What a defect is answered with where it is not Django's to answer: uvicorn itself would send a line of text."""

import logging

from base.servers.asgi import HANDSHAKE, HTTP, Application, Message, Receive, Scope, Send, send_refusal
from base.web.errors import ExchangeError

logger = logging.getLogger(__name__)

_ANSWERS = {"http": HTTP, "websocket": HANDSHAKE}
_NO_STORE = [(b"cache-control", b"no-store")]


class LastResort:
    """Around an ASGI application. A WebSocket whose handshake fails is answered in the same way."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._application(scope, receive, noted)
        except Exception:
            if begun or scope["type"] not in _ANSWERS:
                raise
            logger.exception("a request could not be answered")
            defect = ExchangeError("something broke: the outcome is unknown")
            await send_refusal(send, defect, _NO_STORE, kind=_ANSWERS[scope["type"]])
