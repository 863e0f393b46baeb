"""One WebSocket: it answers requests one after the other, and sends the messages of the channels that it follows.

It knows no operation and no format: a `Session` answers, `Frames` read and write, and the `Writer` of a channel makes
frames of the messages that the same stream sends over server-sent events.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from base.servers.asgi import Receive, Send
from base.streams.hub import Feed, Hub
from base.streams.messages import Message
from base.streams.open_stream import OpenStream, Outgoing
from base.streams.request import StreamRequest
from base.streams.threads import in_thread
from base.web.answers import MAX_BYTES
from base.web.errors import ExchangeError
from base.web.ratelimit.windows import LocalWindow

logger = logging.getLogger(__name__)

# A client that takes nothing for so long is gone, or only costs memory.
SEND_SECONDS = 30.0
# A socket that follows no channel and asks for nothing for so long is closed.
IDLE_SECONDS = 60.0
# A client that is refused more often is broken, or tries something.
MOST_ERRORS, ERROR_SECONDS = 20, 60.0
# So many errors a second are answered to one address, over all of its sockets of this process; the next one closes its
# socket.
ADDRESS_ERRORS = 40
# To read a frame of 64 KiB takes some milliseconds, in which no other socket is served. So 64 times 4 KiB a second are
# read of one address's large frames, and the rest waits.
LARGE, ADDRESS_LARGE = 4096, 64
MOST_CHANNELS = 50
# Why the server closes a socket, as docs/api.md names them.
IDLE, BINARY, REFUSED, TOO_LARGE, COME_AGAIN = 1000, 1003, 1008, 1009, 1012


AskedId = int | str | None
_BROKEN = ExchangeError("something broke: the outcome is unknown")


class Frames(Protocol):
    """How requests are read and their answers written, on one kind of socket. A module is one."""

    def read_frame(self, text: str, /) -> tuple[AskedId, dict[str, Any]]:
        """The id and the other fields of a request. Raises ExchangeError."""

    def read_operation(self, fields: dict[str, Any], /) -> str:
        """Which operation is asked for; the others stay. Raises ExchangeError."""

    def answer_frame(self, asked_id: AskedId, body: Mapping[str, Any], /) -> str: ...

    def error_frame(self, asked_id: AskedId, error: Exception, /) -> str | None:
        """The refusal; None for what is a defect."""


class Writer(Protocol):
    """How the messages of one channel are written."""

    async def frames(self, messages: list[Outgoing]) -> list[str]:
        """Raises MustComeAgain where the client cannot go on."""


class MustComeAgain(Exception):
    """The client cannot be sent what it missed: it reads REST and connects again."""


class Session(Protocol):
    """What the operations of one socket do."""

    @property
    def is_following(self) -> bool:
        """Whether something is sent that was not asked for one by one, so that a silent client is not idle."""

    async def begin(self) -> None:
        """Before the client is let in. Raises ExchangeError where it is not."""

    async def answer(self, op: str, fields: dict[str, Any]) -> Mapping[str, Any]:
        """The body of the answer. Raises ExchangeError."""

    def answered(self) -> None:
        """The client was let in, or an answer or a refusal was sent."""

    async def leave(self) -> None:
        """The socket is gone."""


@dataclass
class _Channel:
    """A channel that is followed."""

    stream: OpenStream
    opening: list[Message]
    writer: Writer
    task: "asyncio.Task[None] | None" = None


class Socket:
    """The connection. Used from one event loop."""

    def __init__(
        self, hub: Hub, request: StreamRequest, frames: Frames, receive: Receive, send: Send, *, seconds: float
    ) -> None:
        self.request = request
        self._hub = hub
        self._frames = frames
        self._receive, self._send = receive, send
        self._sending = asyncio.Lock()
        self._channels: dict[str, _Channel] = {}
        self._errors: deque[float] = deque()
        self._closing: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self.stay(seconds)

    def stay(self, seconds: float) -> None:
        """Stay open for so long from now."""
        self._ends_at = time.monotonic() + seconds

    def close(self, code: int, reason: str) -> None:
        """Close as soon as what is under way is done. The first reason counts."""
        if not self._closing.done():
            self._closing.set_result((code, reason))

    @property
    def followed(self) -> Collection[str]:
        return self._channels.keys()

    async def follow(self, name: str, feed: Feed, writer: Writer) -> None:
        """Follow a channel, whose messages come after the answer. Raises TooManyStreams."""
        listener = self._hub.join(feed, self.request.address)
        stream = OpenStream(self._hub, feed, listener, seconds=float("inf"))
        channel = self._channels[name] = _Channel(stream, [], writer)
        await self._hub.settled()
        try:
            channel.opening = await in_thread(feed.opening, time.monotonic())
        except BaseException:
            self.leave_channel(name)
            raise

    def leave_channel(self, name: str) -> None:
        channel = self._channels.pop(name)
        if channel.task is not None:
            channel.task.cancel()
        self._hub.leave(channel.stream.listener)

    def leave_channels(self) -> None:
        for name in list(self._channels):
            self.leave_channel(name)

    async def serve(self, session: Session) -> None:
        """Answer until the client is gone, or the socket is closed from this side."""
        asked = asyncio.ensure_future(self._receive())
        try:
            self._start_channels()
            while not self._closing.done():
                last_asked = time.monotonic()
                while not asked.done() and not self._closing.done():
                    seconds = self._seconds_left(last_asked, session.is_following)
                    awaited: set[asyncio.Future[Any]] = {asked, self._closing}
                    await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                if asked.done():
                    message = asked.result()
                    if message["type"] == "websocket.disconnect":
                        return
                    await self._handle(session, message)
                    asked = asyncio.ensure_future(self._receive())
            code, reason = self._closing.result()
            await self._within_time({"type": "websocket.close", "code": code, "reason": reason})
        except (TimeoutError, OSError):
            # The client takes nothing, or went while something was sent.
            pass
        finally:
            asked.cancel()

    def _seconds_left(self, last_asked: float, is_following: bool) -> float:
        """How long nothing may happen; where that is over, the socket closes."""
        now = time.monotonic()
        if now >= self._ends_at:
            self.close(COME_AGAIN, "the time of this connection is over, come again")
        if not is_following and now >= last_asked + IDLE_SECONDS:
            self.close(IDLE, "idle")
        ends_at = self._ends_at if is_following else min(self._ends_at, last_asked + IDLE_SECONDS)
        return max(0.0, ends_at - now)

    async def _handle(self, session: Session, message: Mapping[str, Any]) -> None:
        text = message.get("text")
        if text is None:
            self.close(BINARY, "send text")
        elif len(text) > MAX_BYTES:
            self.close(TOO_LARGE, f"more than {MAX_BYTES} bytes")
        else:
            await self._wait_for_turn(len(text) // LARGE)
            await self.send(await self._answer(session, text))
            self._start_channels()
            session.answered()

    async def _wait_for_turn(self, cost: int) -> None:
        while cost and not (verdict := _large_frames.hit(self.request.address, ADDRESS_LARGE, cost)).is_let_in:
            await asyncio.sleep(verdict.wait_seconds)

    async def _answer(self, session: Session, text: str) -> str:
        asked_id: AskedId = None
        try:
            asked_id, fields = self._frames.read_frame(text)
            op = self._frames.read_operation(fields)
            return self._frames.answer_frame(asked_id, await session.answer(op, fields))
        except Exception as error:
            self._count_error()
            text_of_refusal = self._frames.error_frame(asked_id, error)
            if text_of_refusal is None:
                logger.exception("a request over a WebSocket could not be answered")
                text_of_refusal = self._frames.error_frame(asked_id, _BROKEN)
            assert text_of_refusal is not None, "this is no defect"
            return text_of_refusal

    def _count_error(self) -> None:
        now = time.monotonic()
        self._errors.append(now)
        while self._errors[0] <= now - ERROR_SECONDS:
            self._errors.popleft()
        is_address_let_in = _errors_of_addresses.hit(self.request.address, ADDRESS_ERRORS).is_let_in
        if len(self._errors) > MOST_ERRORS or not is_address_let_in:
            self.close(REFUSED, "too many errors")

    def _start_channels(self) -> None:
        """After the answer, so that the client knows what it is sent."""
        for channel in self._channels.values():
            if channel.task is None:
                channel.task = asyncio.get_running_loop().create_task(self._tell(channel))

    async def _tell(self, channel: _Channel) -> None:
        stream = channel.stream
        try:
            await self._push(channel, stream.opened(channel.opening))
            while True:
                is_woken = await stream.woken(IDLE_SECONDS)
                if stream.is_ended:
                    # The caller was signed out, or the database was restored.
                    self.close(COME_AGAIN, "sign in again")
                    return
                if is_woken:
                    await self._push(channel, await stream.next())
        except (TimeoutError, OSError):
            self.close(REFUSED, "takes nothing")
        except MustComeAgain as reason:
            self.close(COME_AGAIN, str(reason))
        except Exception:
            logger.exception("a channel of a WebSocket could not be sent to")
            self.close(COME_AGAIN, "come again")

    async def _push(self, channel: _Channel, messages: list[Outgoing]) -> None:
        for text in await channel.writer.frames(messages):
            await self.send(text)
        channel.stream.delivery_log.taken()

    async def send(self, text: str) -> None:
        await self._within_time({"type": "websocket.send", "text": text})

    async def _within_time(self, message: dict[str, Any]) -> None:
        async with self._sending, asyncio.timeout(SEND_SECONDS):
            await self._send(message)


# For all sockets of the process.
_errors_of_addresses, _large_frames = LocalWindow(), LocalWindow()
