"""The ASGI application that answers one stream's URL.

It stands in front of Django's handler: any synchronous middleware or signal receiver there would keep a thread for each
open stream. A stream is complete because of the order in which it opens: it joins the hub, waits for the Redis
subscription, reads the database, and only then sends `connected`. What is committed later is received or read.
"""

import asyncio
import contextlib
import functools
import random
import time
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

import structlog
from django_eventstream.utils import sse_encode_event
from structlog.contextvars import bind_contextvars, bound_contextvars

from base.servers.asgi import Message, Receive, Scope, Send, encoded, send_refusal
from base.streams.hub import Feed, Hub
from base.streams.open_stream import OpenStream, Outgoing
from base.streams.request import StreamRequest
from base.streams.threads import in_thread
from base.telemetry.access import ANSWERED, HEADER, LONGEST_PATH, duration_ms, request_id_for
from base.web.errors import (
    ExchangeError,
    MethodNotAllowed,
    TooManyRequests,
    Unavailable,
)
from base.web.hardening import hardened
from base.web.queries import Query, refuse_unknown

logger = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),
]
KEEP_ALIVE = b": keep-alive\n\n"
KEEP_ALIVE_SECONDS = 15.0
# A client that takes nothing for so long is gone, or only costs memory.
SEND_SECONDS = 30.0


class StreamApplication:
    """`open_feed` signs the caller in and returns the feed, or refuses, in a thread. `parameters`: those it knows."""

    def __init__(self, hub: Hub, open_feed: Callable[[StreamRequest], Feed], parameters: Iterable[Query] = ()) -> None:
        self._hub = hub
        self._open_feed = open_feed
        self._known = [query.name for query in parameters]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = StreamRequest.from_scope(scope)
        request_id = request_id_for(request.headers.get(HEADER.lower()))
        started = time.perf_counter()
        with bound_contextvars(requestId=request_id, userId=None, error=None):
            status = await self._answer(request, receive, functools.partial(_send_named, send, request_id.encode()))
            # Without the query, because a ticket is in it.
            asked = {"method": request.method, "path": scope["path"][:LONGEST_PATH], "status": status}
            log = logger.debug if status == TooManyRequests.status else logger.info
            log(ANSWERED, **asked, durationMs=duration_ms(started))

    async def _answer(self, request: StreamRequest, receive: Receive, send: Send) -> int:
        """Serve the stream to its end. Returns the status that was answered."""
        try:
            # Before anything is read, so that a flood from a crowded address costs little.
            self._hub.refuse_crowded(request.address)
            feed = await _read(self._admit, request)
            listener = self._hub.join(feed, request.address)
        except ExchangeError as refusal:
            return await _refuse(send, refusal, request)
        try:
            bind_contextvars(userId=feed.user_id)
            return await self._open(OpenStream(self._hub, feed, listener), request, receive, send)
        finally:
            self._hub.leave(listener)
            await _leave(feed)

    def _admit(self, request: StreamRequest) -> Feed:
        try:
            if request.method != "GET":
                raise MethodNotAllowed(f"{request.method} is not possible here, GET is")
            refuse_unknown(request.names, self._known)
            return self._open_feed(request)
        finally:
            # A caller who was refused before signing in is counted too. Above the limit, 429 replaces that refusal.
            request.meter.count(None)

    async def _open(self, stream: OpenStream, request: StreamRequest, receive: Receive, send: Send) -> int:
        await self._hub.settled()
        try:
            opening = await _read(stream.feed.opening, time.monotonic())
        except ExchangeError as refusal:
            return await _refuse(send, refusal, request)
        gone = asyncio.ensure_future(_wait_until_gone(receive))
        gone.add_done_callback(lambda _: stream.listener.aevent.set())
        try:
            headers = [*STREAM_HEADERS, *encoded({**request.meter.headers, **await stream.headers()})]
            await _send(send, {"type": "http.response.start", "status": 200, "headers": headers})
            await _send_body(send, _first_bytes(stream.opened(opening)))
            logger.info("stream opened")
            stream.delivery_log.taken()
            await _serve(stream, send, gone)
            await _send_body(send, b"", more=False)
        except TimeoutError:
            logger.info("a client of user %s takes nothing, its stream ends", stream.feed.user_id or "nobody")
        except asyncio.CancelledError:
            # The server stops: the response is ended properly, so that the client connects again.
            with contextlib.suppress(Exception):
                async with asyncio.timeout(0.5):
                    await _send_body(send, b"", more=False)
        finally:
            gone.cancel()
        return 200


def _first_bytes(opening: Iterable[Outgoing]) -> bytes:
    retry = random.randint(1000, 3000)  # noqa: S311
    return f"retry: {retry}\n".encode() + _encoded(opening)


async def _serve(stream: OpenStream, send: Send, gone: "asyncio.Future[None]") -> None:
    """Send until the client is gone, the time is over, or the hub ends the stream."""
    while not gone.done() and not stream.is_over:
        is_woken = await stream.woken(KEEP_ALIVE_SECONDS)
        if stream.is_ended or not await stream.keeps_its_ticket():
            return
        body = _encoded(await stream.next()) if is_woken else KEEP_ALIVE
        if body:
            await _send_body(send, body)
            stream.delivery_log.taken()


def _encoded(messages: Iterable[Outgoing]) -> bytes:
    return b"".join(map(_encode, messages))


def _encode(outgoing: Outgoing) -> bytes:
    if outgoing.bookmark is None:
        return _encoded_for_all(outgoing.type, outgoing.data)
    text: str = sse_encode_event(outgoing.type, outgoing.data, event_id=outgoing.bookmark)
    return text.encode()


@functools.lru_cache(maxsize=64)
def _encoded_for_all(kind: str, data: str) -> bytes:
    """A message without an id goes to many clients, so it is encoded once for all of them."""
    text: str = sse_encode_event(kind, data)
    return text.encode()


async def _read(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Read the database for a stream that opens. Raises Unavailable if that fails, so that the client tries again."""
    try:
        return await in_thread(function, *args, **kwargs)
    except ExchangeError:
        raise
    except Exception as error:
        logger.exception("a stream could not be opened")
        raise Unavailable("the stream cannot be opened now, try again") from error


async def _leave(feed: Feed) -> None:
    """The client may come again at once, so this is done even while the server stops."""
    if feed.permit is not None and feed.permit.ticket is not None:
        with contextlib.suppress(Exception):
            await asyncio.shield(in_thread(feed.permit.ticket.renew))


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, message: Message) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send(message)


async def _send_body(send: Send, body: bytes, *, more: bool = True) -> None:
    await _send(send, {"type": "http.response.body", "body": body, "more_body": more})


async def _send_named(send: Send, request_id: bytes, message: Message) -> None:
    """Send the message with the id that the request has in the logs."""
    if message["type"] == "http.response.start":
        message["headers"] = hardened([*message["headers"], (HEADER.lower().encode(), request_id)])
    await send(message)


async def _refuse(send: Send, refusal: ExchangeError, request: StreamRequest) -> int:
    """Send the refusal, and return its status."""
    bind_contextvars(error=refusal.error)
    allowed = {"Allow": "GET"} if isinstance(refusal, MethodNotAllowed) else {}
    return await send_refusal(send, refusal, encoded({**request.meter.headers, **allowed}))
