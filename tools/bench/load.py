"""The load generator: requests that are bytes already, on connections that are kept, and the streams of their users.

It shares the machine with what it measures, so it does as little as can be: no HTTP library, no JSON. What is not
answered 202 for every order of the request ends the measurement.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple, cast

from rest_framework_simplejwt.tokens import AccessToken

from tools.rig.process import HOST
from users.models import User

ORDERS, BATCH = "/api/v1/orders", "/api/v1/orders/batch"
ORDER_STATUS = "/api/v1/stream/order-status"
# In the answer once for each order that was stored.
STORED = b'"status":"PENDING"'


class LoadError(Exception):
    """The exchange did not do what was asked, so that there is nothing to measure."""


class Request(NamedTuple):
    """A request as it is sent, and how many orders it places."""

    sent: bytes
    orders: int


class Answered(NamedTuple):
    """When so many orders were answered 202, by time.monotonic."""

    at: float
    orders: int


class Event(NamedTuple):
    """A server-sent event, and when it was read."""

    at: float
    kind: bytes
    id: bytes
    data: bytes


def access_token(user_id: int) -> str:
    return str(AccessToken.for_user(User(id=user_id)))


def post(path: str, token: str, body: bytes, orders: int = 1) -> Request:
    lines = (
        f"POST {path} HTTP/1.1",
        f"Host: {HOST}",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return Request("\r\n".join((*lines, "", "")).encode() + body, orders)


def get(path: str, token: str) -> Request:
    """A request that places no order."""
    lines = (f"GET {path} HTTP/1.1", f"Host: {HOST}", f"Authorization: Bearer {token}")
    return Request("\r\n".join((*lines, "", "")).encode(), 0)


class Connection(asyncio.Protocol):
    """One connection, opened when it is needed and kept while the server keeps it; one request at a time.

    Each answer must have the status.
    """

    def __init__(self, port: int, status: int = 202) -> None:
        self._port = port
        self._head = f"http/1.1 {status} ".encode()
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._answer: asyncio.Future[bytes] | None = None

    async def place(self, request: Request) -> Answered:
        """Raises LoadError unless all of the request's orders were stored."""
        if self._transport is None:
            await asyncio.get_running_loop().create_connection(lambda: self, HOST, self._port)
        assert self._transport is not None and self._answer is None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request.sent)
        body = await self._answer
        self._answer = None
        if body.count(STORED) != request.orders:
            raise LoadError(f"{body.count(STORED)} of {request.orders} orders stored: {body[:400]!r}")
        return Answered(time.monotonic(), request.orders)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or self._answer is None:
            return
        head = bytes(self._received[:end]).lower()
        length = _content_length(head)
        if length is None:
            self._answer.set_exception(LoadError(f"an answer of unknown length: {head!r}"))
            return
        if len(self._received) < end + 4 + length:
            return
        body = bytes(self._received[end + 4 :])
        self._received.clear()
        if b"\r\nconnection: close" in head and self._transport is not None:
            self._transport.close()
            self._transport = None
        if head.startswith(self._head):
            self._answer.set_result(body)
        else:
            self._answer.set_exception(LoadError(f"{head.splitlines()[0]!r}: {body[:400]!r}"))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LoadError(f"cut off before the answer: {error}"))


class EventStream(asyncio.Protocol):
    """One user's open stream of order events; each event is handed over as it comes. Ends with `close` only."""

    def __init__(self, port: int, token: str, receive: Callable[[Event], None]) -> None:
        self._port = port
        self._token = token
        self._receive = receive
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._text = b""
        self._is_answered = False
        self._is_closing = False
        self._connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Why events may be missing: to be looked at before what was received is believed.
        self.failure: LoadError | None = None

    async def open(self) -> None:
        """Returns once every event from now on is sure to come. Raises LoadError."""
        await asyncio.get_running_loop().create_connection(lambda: self, HOST, self._port)
        await self._connected

    def close(self) -> None:
        self._is_closing = True
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        lines = (f"GET {ORDER_STATUS} HTTP/1.1", f"Host: {HOST}", f"Authorization: Bearer {self._token}", "", "")
        self._transport.write("\r\n".join(lines).encode())

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._received += data
        if not self._is_answered and not self._read_head():
            return
        self._text += _unchunk(self._received)
        *events, self._text = self._text.split(b"\n\n")
        for event in events:
            self._read_event(now, event)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._is_closing:
            self._fail(f"the stream ended: {error}")

    def _read_head(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return False
        if not self._received.startswith(b"HTTP/1.1 200 "):
            self._fail(f"the stream was refused: {bytes(self._received[:400])!r}")
            return False
        del self._received[: end + 4]
        self._is_answered = True
        return True

    def _read_event(self, now: float, text: bytes) -> None:
        fields = {name: value for name, _, value in (line.partition(b": ") for line in text.split(b"\n"))}
        kind = fields.get(b"event")
        if kind == b"stream-reset":
            self._fail("the stream was reset: events may be missing")
        elif kind == b"connected" and not self._connected.done():
            self._connected.set_result(None)
        elif kind is not None:
            self._receive(Event(now, kind, _event_id(fields[b"data"]), fields[b"data"]))

    def _fail(self, reason: str) -> None:
        self.failure = self.failure or LoadError(reason)
        if not self._connected.done():
            self._connected.set_exception(self.failure)


def _event_id(data: bytes) -> bytes:
    """Not parsed, because that would cost more than all the rest. What stands in the line `id:` is a bookmark."""
    return data.partition(b'"eventId":"')[2].partition(b'"')[0]


async def press(connection: Connection, requests: Iterable[Request], until: float = float("inf")) -> list[Answered]:
    """Send each request as soon as the one before it is answered, until there is none or the instant is reached."""
    answered = []
    for request in requests:
        answered.append(await connection.place(request))
        if answered[-1].at >= until:
            break
    return answered


class Pool:
    """Connections for a client that sends when it is time to, whether or not earlier requests are answered."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Connection] = []
        self.opened = 0

    async def place(self, request: Request) -> Answered:
        connection = self._idle.pop() if self._idle else self._another()
        answered = await connection.place(request)
        self._idle.append(connection)
        return answered

    def close(self) -> None:
        for connection in self._idle:
            connection.close()

    def _another(self) -> Connection:
        self.opened += 1
        return Connection(self._port)


def _content_length(head: bytes) -> int | None:
    _, found, rest = head.partition(b"\r\ncontent-length: ")
    return int(rest.partition(b"\r\n")[0]) if found else None


def _unchunk(received: bytearray) -> bytes:
    """Take the complete chunks out of what was received of a chunked body."""
    chunks, at = [], 0
    while (end := received.find(b"\r\n", at)) >= 0:
        first, size = end + 2, int(received[at:end], 16)
        if len(received) < first + size + 2:
            break
        chunks.append(bytes(received[first : first + size]))
        at = first + size + 2
    del received[:at]
    return b"".join(chunks)
