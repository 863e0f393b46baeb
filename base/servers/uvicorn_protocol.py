"""uvicorn's protocol with an end to waiting: for a request that does not arrive, and for a client that takes nothing.

uvicorn itself waits for both without a limit. It is named on its command line: `--http
base.servers.uvicorn_protocol:Punctual`.
"""

import asyncio
import re
from typing import Any

import h11
from django.conf import settings
from uvicorn.protocols.http.h11_impl import H11Protocol

from base.servers.connections import Connections, plain_answer
from base.web.errors import ExchangeError, MalformedRequest, RequestTimeout

# Once this much time has passed and the buffer did not become shorter, the client is gone or only costs memory.
SEND_SECONDS = 30.0

_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
_connections = Connections()


class Punctual(H11Protocol):
    """One connection. A WebSocket leaves it with its handshake, and is counted as a WebSocket from then on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._address = ""
        self._arrives_until: asyncio.TimerHandle | None = None
        self._takes_until: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        try:
            self._address = _connections.enter(self.client[0] if self.client else "")
        except ExchangeError as refusal:
            self._refuse(refusal)
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        # What has become a WebSocket is waited for no more, though h11 has not seen the end of its handshake.
        if self.transport.get_protocol() is self:
            self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def send_400_response(self, msg: str) -> None:
        """In the envelope, not in uvicorn's plain text. Behind an answer that has begun it would be a part of that."""
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.close()
        else:
            self._refuse(MalformedRequest("this is not HTTP as the server reads it"))

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """A handshake that is none would be refused in plain text, without our headers."""
        asked = dict(self.headers)
        is_one = event.method == b"GET" and asked.get(b"sec-websocket-version") == b"13"
        if not is_one or not _KEY.fullmatch(asked.get(b"sec-websocket-key", b"")):
            self._refuse(MalformedRequest("this is not the handshake of a WebSocket (RFC 6455, version 13)"))
            return
        self._leave()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._takes_until = self.loop.call_later(SEND_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        _cancel(self._takes_until)

    def _look(self) -> None:
        """Whether a request is on its way. Between two requests uvicorn's own keep-alive time counts."""
        state = self.conn.their_state
        if state is h11.SEND_BODY or (state is h11.IDLE and (self.cycle is None or self.conn.trailing_data[0])):
            self._wait()
        else:
            _cancel(self._arrives_until)
            self._arrives_until = None

    def _wait(self) -> None:
        if self._arrives_until is None:
            self._arrives_until = self.loop.call_later(settings.REQUEST_SECONDS, self._is_late)

    def _is_late(self) -> None:
        """Whoever sent nothing at all, as browsers do ahead of time, asked for no answer either."""
        is_asked = bool(self.conn.trailing_data[0]) if self.conn.our_state is h11.IDLE else not self._is_answering
        if is_asked:
            self._refuse(RequestTimeout(f"a request must have arrived within {settings.REQUEST_SECONDS} s"))
        else:
            self.transport.close()

    @property
    def _is_answering(self) -> bool:
        return bool(self.cycle.response_started)

    def _refuse(self, refusal: ExchangeError) -> None:
        self.transport.write(plain_answer(refusal))
        self.transport.close()

    def _leave(self) -> None:
        for timer in (self._arrives_until, self._takes_until):
            _cancel(timer)
        _connections.leave(self._address)
        self._address = ""


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
