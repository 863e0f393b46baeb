"""The ASGI application that answers one stream's URL.

It stands in front of Django's handler: any synchronous middleware or signal receiver there would keep a thread for each
open stream. A stream is complete because of the order in which it opens: it joins the hub, waits for the Redis
subscription, reads the database, and only then sends `connected`. What is committed later is received or read.
"""

import asyncio
import contextlib
import functools
import json
import random
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, ParamSpec, TypeVar

import structlog
from django.conf import settings
from django_eventstream.utils import sse_encode_event
from django_eventstream.views import Listener
from structlog.contextvars import bind_contextvars, bound_contextvars

from base.streams.delivery_log import DeliveryLog
from base.streams.hub import Feed, Hub, stream_kind
from base.streams.messages import RESET, Message, data_text
from base.streams.request import StreamRequest
from base.streams.threads import in_thread
from base.telemetry import metrics
from base.telemetry.access import ANSWERED, HEADER, LONGEST_PATH, duration_ms, request_id_for
from base.web.errors import (
    ExchangeError,
    MethodNotAllowed,
    NotAuthenticated,
    TooManyRequests,
    Unavailable,
    error_body,
)
from base.web.queries import Query, refuse_unknown

logger = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
KEEP_ALIVE = b": keep-alive\n\n"
KEEP_ALIVE_SECONDS = 15.0
# A client that takes nothing for so long is gone, or only costs memory.
SEND_SECONDS = 30.0
# The pause before the event log is read again after the database failed.
READ_AGAIN_SECONDS = 2.0
# So many ids are remembered, because a message that was both received and read must be sent once.
REMEMBERED_IDS = 2000


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
            feed = await _read(self._admit, request)
            listener = self._hub.join(feed)
        except ExchangeError as refusal:
            return await _refuse(send, refusal, request)
        try:
            bind_contextvars(userId=feed.user_id)
            return await self._open(_Stream(self._hub, feed, listener), request, receive, send)
        finally:
            self._hub.leave(listener)

    def _admit(self, request: StreamRequest) -> Feed:
        try:
            if request.method != "GET":
                raise MethodNotAllowed(f"{request.method} is not possible here, GET is")
            refuse_unknown(request.names, self._known)
            return self._open_feed(request)
        finally:
            # A caller who was refused before signing in is counted too. Above the limit, 429 replaces that refusal.
            request.meter.count(None)

    async def _open(self, stream: "_Stream", request: StreamRequest, receive: Receive, send: Send) -> int:
        await self._hub.settled()
        try:
            opening = await _read(stream.feed.opening, time.monotonic())
        except ExchangeError as refusal:
            return await _refuse(send, refusal, request)
        gone = asyncio.ensure_future(_wait_until_gone(receive))
        gone.add_done_callback(lambda _: stream.listener.aevent.set())
        try:
            headers = [*STREAM_HEADERS, *_limit_headers(request)]
            await _send(send, {"type": "http.response.start", "status": 200, "headers": headers})
            await _send_body(send, stream.first_bytes(opening))
            logger.info("stream opened")
            stream.delivery_log.taken()
            await stream.run(send, gone)
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


class _Stream:
    """One open stream: it sends its client what its listener received."""

    def __init__(self, hub: Hub, feed: Feed, listener: Listener) -> None:
        self.feed = feed
        self.listener = listener
        self._hub = hub
        kind = stream_kind(feed)
        self._events, self._resets = metrics.STREAM_EVENTS.labels(kind), metrics.STREAM_RESETS.labels(kind)
        self.delivery_log = DeliveryLog()
        self._sent: dict[tuple[str, str], None] = {}
        self._confirmed = hub.checkpoint
        # While something that was missed could not be read, the position of the feed must not move on.
        self._is_behind = False
        life = settings.STREAM_MAX_SECONDS
        # Spread, so that clients that connected together do not all connect again together.
        self._ends_at = time.monotonic() + life * random.uniform(0.9, 1.0)  # noqa: S311

    def first_bytes(self, opening: Iterable[Message]) -> bytes:
        retry = random.randint(1000, 3000)  # noqa: S311
        return f"retry: {retry}\n".encode() + self._encoded(opening)

    async def run(self, send: Send, gone: "asyncio.Future[None]") -> None:
        """Send until the client is gone, the time is over, or the hub ends the stream."""
        while not gone.done() and time.monotonic() < self._ends_at:
            is_woken = await self._woken()
            if self.listener.error:
                return
            body = await self._next() if is_woken else KEEP_ALIVE
            if body:
                await _send_body(send, body)
                self.delivery_log.taken()

    async def _woken(self) -> bool:
        longest = min(KEEP_ALIVE_SECONDS, max(self._ends_at - time.monotonic(), 0.0))
        try:
            async with asyncio.timeout(longest):
                await self.listener.aevent.wait()
        except TimeoutError:
            return False
        return True

    async def _next(self) -> bytes:
        """What was received since the last time, and what the event log holds if something may have been missed."""
        queued, must_catch_up = self._hub.take(self.listener)
        if not must_catch_up:
            # In this order: everything up to the checkpoint was in a queue by now, and this is all of the queue.
            self._confirm()
            return b"".join(self._received(event) for event in queued)
        self._is_behind = True
        try:
            missed = await in_thread(self.feed.missed, time.monotonic())
        except Exception as error:
            logger.warning("a stream cannot read what it missed: %r", error)
            asyncio.get_running_loop().call_later(READ_AGAIN_SECONDS, self._hub.must_catch_up, self.feed.channels)
            return b"".join(self._received(event) for event in queued)
        self._is_behind = False
        # The event log is in order, so it comes first. A reset comes last: after it the client reads everything, and
        # nothing older may follow.
        if any(message.type == RESET for message in missed):
            return b"".join(self._received(event) for event in queued) + self._encoded(missed)
        return self._encoded(missed) + b"".join(self._received(event) for event in queued)

    def _confirm(self) -> None:
        checkpoint = self._hub.checkpoint
        if checkpoint is not None and checkpoint is not self._confirmed and not self._is_behind:
            self.feed.confirm(checkpoint)
            self._confirmed = checkpoint

    def _encoded(self, messages: Iterable[Message]) -> bytes:
        return b"".join(self._encode(message.type, data_text(message.data), message.id) for message in messages)

    def _received(self, event: Any) -> bytes:
        if not self.feed.is_new(event.type, event.data):
            return b""
        return self._encode(event.type, event.data, event.id)

    def _encode(self, kind: str, data: str, message_id: str | None) -> bytes:
        if kind == RESET:
            self._resets.inc()
        if message_id is None:
            self._events.inc()
            return _encoded_for_all(kind, data)
        if message_id:
            if (kind, message_id) in self._sent:
                return b""
            self._sent[kind, message_id] = None
            if len(self._sent) > REMEMBERED_IDS:
                del self._sent[next(iter(self._sent))]
            self.delivery_log.write(message_id, data)
        self._events.inc()
        text: str = sse_encode_event(kind, data, event_id=message_id)
        # Only an empty id makes a client forget the id that it has.
        return (f"id:\n{text}" if message_id == "" else text).encode()


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


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, message: MutableMapping[str, Any]) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send(message)


async def _send_body(send: Send, body: bytes, *, more: bool = True) -> None:
    await _send(send, {"type": "http.response.body", "body": body, "more_body": more})


def _limit_headers(request: StreamRequest) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in request.meter.headers.items()]


async def _send_named(send: Send, request_id: bytes, message: MutableMapping[str, Any]) -> None:
    """Send the message with the id that the request has in the logs."""
    if message["type"] == "http.response.start":
        message["headers"] = [*message["headers"], (HEADER.lower().encode(), request_id)]
    await send(message)


async def _refuse(send: Send, refusal: ExchangeError, request: StreamRequest) -> int:
    """Send the refusal, and return its status."""
    bind_contextvars(error=refusal.error)
    body = json.dumps(error_body(refusal)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += _limit_headers(request)
    if isinstance(refusal, NotAuthenticated):
        headers.append((b"www-authenticate", b'Bearer realm="api"'))
    if isinstance(refusal, MethodNotAllowed):
        headers.append((b"allow", b"GET"))
    if refusal.retry_after_seconds is not None:
        headers.append((b"retry-after", str(refusal.retry_after_seconds).encode()))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    return refusal.status
