"""The ASGI application that takes WebSockets: it lets a connection in, or refuses it as REST refuses a request."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from django.conf import settings
from structlog.contextvars import bind_contextvars, bound_contextvars

from base.servers.asgi import HANDSHAKE, Receive, Scope, Send, encoded, send_refusal
from base.streams.hub import Hub
from base.streams.open_stream import lifetime
from base.streams.request import StreamRequest
from base.streams.socket import Frames, Session, Socket
from base.streams.threads import in_thread
from base.telemetry.access import ANSWERED, HEADER, LONGEST_PATH, duration_ms, request_id_for
from base.telemetry.metrics import SOCKETS
from base.web.answers import as_refusal
from base.web.errors import ExchangeError, TooManyConnections, UpgradeRequired
from base.web.queries import refuse_unknown

logger = structlog.get_logger(__name__)

STOP_SECONDS = 5.0


class SocketPlaces:
    """How many sockets each address has open, whatever they speak, and what is still done for those that are gone."""

    def __init__(self) -> None:
        self._addresses: Counter[str] = Counter()
        self._leaving: set[asyncio.Task[None]] = set()

    def refuse_too_many(self, address: str) -> None:
        """Raises TooManyConnections."""
        counts = {
            "address": (self._addresses[address], settings.SOCKET_MAX_PER_ADDRESS),
            "all": (self._addresses.total(), settings.SOCKET_MAX),
        }
        for scope, (count, limit) in counts.items():
            if count >= limit:
                raise TooManyConnections(f"{limit} WebSockets are open already ({scope})", limit=limit, scope=scope)

    @contextmanager
    def taken(self, address: str) -> Iterator[None]:
        self._addresses[address] += 1
        SOCKETS.inc()
        try:
            yield
        finally:
            SOCKETS.dec()
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    def finish(self, work: Coroutine[Any, Any, None]) -> None:
        """In a task of its own, because the server may cancel that of the connection."""
        task = asyncio.get_running_loop().create_task(work)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def finished(self) -> None:
        """Wait until what is done for sockets that are gone is done, or for a moment."""
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=STOP_SECONDS)


class SocketApplication:
    """`open_session` makes what answers on a socket. Used from one event loop.

    Cookies are not looked at, so a page of another origin signs nobody in by opening a socket here. `check` may
    refuse a handshake, and reads the database. `counts`: whether one is a request of its address under the rate limit.
    `longest`: how many seconds a socket may live, if not as long as our own streams.
    """

    def __init__(
        self,
        hub: Hub,
        open_session: Callable[[Socket], Session],
        places: SocketPlaces,
        *,
        frames: Frames,
        counts: bool = True,
        longest: float | None = None,
        parameters: Sequence[str] = (),
        check: Callable[[StreamRequest], None] | None = None,
    ) -> None:
        self._hub = hub
        self._open_session = open_session
        self._places = places
        self._frames = frames
        self._counts = counts
        self._longest = longest
        self._parameters = parameters
        self._check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = StreamRequest.from_scope(scope)
        request_id = request_id_for(request.headers.get(HEADER.lower()))
        started = time.perf_counter()
        with bound_contextvars(requestId=request_id, userId=None, error=None):
            status = await self._take(scope, request, receive, send)
            asked = {"method": request.method, "path": scope["path"][:LONGEST_PATH], "status": status}
            log = logger.debug if status == TooManyConnections.status else logger.info
            log(ANSWERED, **asked, durationMs=duration_ms(started))

    async def _take(self, scope: Scope, request: StreamRequest, receive: Receive, send: Send) -> int:
        try:
            # Before anything is read, so that a flood costs little; and again, because others came meanwhile.
            self._places.refuse_too_many(request.address)
            await in_thread(self._admit, request)
            if scope["type"] != "websocket":
                raise UpgradeRequired("connect with a WebSocket")
            self._places.refuse_too_many(request.address)
        except ExchangeError as refusal:
            return await refuse_handshake(scope, receive, send, refusal, encoded(request.meter.headers))
        with self._places.taken(request.address):
            return await self._serve(scope, request, receive, send)

    def _admit(self, request: StreamRequest) -> None:
        """Raises TooManyRequests, InvalidField and what the check raises."""
        if self._counts:
            request.meter.count(None)
        refuse_unknown(request.names, self._parameters)
        if self._check is not None:
            self._check(request)

    async def _serve(self, scope: Scope, request: StreamRequest, receive: Receive, send: Send) -> int:
        socket = Socket(self._hub, request, self._frames, receive, send, seconds=lifetime(self._longest))
        session = self._open_session(socket)
        headers = encoded(request.meter.headers)
        try:
            # Before the client knows that it is let in, so that it misses nothing of what happens from then on.
            if (refusal := await _begin(session)) is not None:
                return await refuse_handshake(scope, receive, send, refusal, headers)
            await receive()
            await send({"type": "websocket.accept", "headers": headers})
            session.answered()
            await socket.serve(session)
        finally:
            socket.leave_channels()
            self._places.finish(session.leave())
        return 101


async def _begin(session: Session) -> ExchangeError | None:
    """Why it cannot begin, if it cannot."""
    try:
        await session.begin()
    except Exception as error:
        refusal = as_refusal(error)
        if refusal is None:
            raise
        return refusal
    return None


async def refuse_handshake(
    scope: Scope, receive: Receive, send: Send, refusal: ExchangeError, more: Sequence[tuple[bytes, bytes]] = ()
) -> int:
    """Answer the handshake as REST would. Returns the status."""
    bind_contextvars(error=refusal.error)
    if scope["type"] == "http":
        return await send_refusal(send, refusal, more)
    await receive()
    return await send_refusal(send, refusal, more, kind=HANDSHAKE)
