"""Streams and WebSocket sessions on asyncio."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, cast

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from ..calls.call import AsyncSender, Call, Reply
from ..calls.socket import SessionCalls, auth, ping
from ..credentials import SOCKET_TARGET
from ..errors import ClearbellError, NoAnswer
from ..retry import Cut
from ..steps import Deliver, Frame, OpenEvents, OpenSocket, Pause, Receive, Request, SendText, Step
from .following import Following
from .switchboard import ANSWER_SECONDS, MOST_MESSAGES, NOT_READ, PING_SECONDS, NotRead, Switchboard, no_answer, outcome
from .sync import MOST_BYTES, OPEN_SECONDS, READ_SECONDS, frame_of

if TYPE_CHECKING:
    from ..aio import AsyncClient

T = TypeVar("T")


class AsyncStream(Generic[T], AsyncIterator[T]):
    """What happens, for ever: `async for news in stream`. Closed by `close`, or at the end of its `async with`."""

    def __init__(self, client: "AsyncClient", following: Following, trust_env: bool) -> None:
        self._client = client
        self._following = following
        self._trust_env = trust_env
        self._steps = following.steps()
        self._open = AsyncExitStack()
        self._over = asyncio.Event()
        self._frames: AsyncIterator[ServerSentEvent] | None = None
        self._socket: ClientConnection | None = None
        self._answer: Any = None
        self._error: Cut | ClearbellError | None = None

    @property
    def position(self) -> str:
        """Where it stands: given to `order_events` it goes on from there."""
        return self._following.source.position

    async def __anext__(self) -> T:
        while not self._over.is_set():
            try:
                step = self._steps.send(self._answer) if self._error is None else self._steps.throw(self._error)
            except StopIteration:
                raise StopAsyncIteration from None
            self._answer = self._error = None
            if isinstance(step, Deliver):
                return cast(T, step.event)
            try:
                self._answer = await (self._pause(step.seconds) if isinstance(step, Pause) else self._perform(step))
            except (Cut, ClearbellError) as error:
                # A call beside the stream may be cut off, and the stream goes on.
                if isinstance(step, OpenEvents | OpenSocket | SendText | Receive):
                    await self._open.aclose()
                self._error = error
            except asyncio.CancelledError:
                # As with `asyncio.timeout`: whoever reads on goes on after the position, by a new connection.
                if not isinstance(step, Pause):
                    self._error = Cut("the reader did not wait")
                    await self._open.aclose()
                raise
        # It was closed perhaps while a connection was opened.
        await self._open.aclose()
        raise StopAsyncIteration

    async def close(self) -> None:
        """End it; the task that reads it comes to the end of its loop."""
        self._over.set()
        await self._open.aclose()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _perform(self, step: Step) -> Any:
        match step:
            case Receive() if self._frames is not None:
                return await self._receive(self._frames)
            case Receive():
                return Frame("", "", str(await _cut_off(self._with_socket().recv())))
            case OpenEvents(request):
                return await self._open_events(request)
            case OpenSocket(target):
                return await self._open_socket(target)
            case SendText(text):
                return await _cut_off(self._with_socket().send(text))
        return await self._client.perform(step)

    async def _open_events(self, request: Request) -> Reply | None:
        await self._open.aclose()
        timeout = httpx.Timeout(OPEN_SECONDS, read=READ_SECONDS)
        url = self._client.url + request.target
        opening = self._client.http.stream(request.method, url, headers=request.headers, timeout=timeout)
        try:
            response = await self._open.enter_async_context(opening)
            if response.status_code != httpx.codes.OK:
                return Reply(response.status_code, response.headers, await response.aread())
        except httpx.RequestError as error:
            raise Cut(f"{type(error).__name__}: {error}") from error
        self._frames = EventSource(response).aiter_sse()
        return None

    async def _receive(self, frames: AsyncIterator[ServerSentEvent]) -> Frame:
        try:
            return frame_of(await anext(frames))
        except StopAsyncIteration:
            raise Cut("the stream has ended") from None
        except (httpx.RequestError, httpx.StreamError, SSEError) as error:
            raise Cut(f"{type(error).__name__}: {error}") from error

    async def _open_socket(self, target: str) -> None:
        await self._open.aclose()
        self._frames, self._socket = None, await open_socket(self._open, self._client.url + target, self._trust_env)

    def _with_socket(self) -> ClientConnection:
        assert self._socket is not None
        return self._socket


class AsyncSession(SessionCalls, AsyncSender):
    """One WebSocket: requests are answered in turn, and nothing is repeated. When the connection goes, it is over: what
    was not answered raises NoAnswer, and the same order may be placed again elsewhere.
    """

    def __init__(self, stack: AsyncExitStack, socket: ClientConnection) -> None:
        self._open, self._socket = stack, socket
        self._switchboard: Switchboard[asyncio.Future[Reply]] = Switchboard(asyncio.get_running_loop().create_future)
        self._messages: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()
        self._tasks = [asyncio.create_task(each) for each in (self._read(), self._stay())]

    @classmethod
    async def open(cls, url: str, fields: Mapping[str, Any], trust_env: bool) -> Self:
        stack = AsyncExitStack()
        try:
            session = cls(stack, await open_socket(stack, url + SOCKET_TARGET, trust_env))
        except Cut as cut:
            raise NoAnswer("connect", str(cut), 1) from cut
        try:
            if fields:
                await session.send(auth(fields))
        except BaseException:
            await session.close()
            raise
        return session

    async def send(self, call: Call[T]) -> T:
        """The answer. Raises Refused and NoAnswer."""
        text, waiting = self._switchboard.ask(call)
        try:
            await self._socket.send(text)
        except (WebSocketException, OSError) as error:
            self._switchboard.close(f"{type(error).__name__}: {error}")
        try:
            reply = await asyncio.wait_for(waiting, ANSWER_SECONDS)
        except TimeoutError:
            raise no_answer(call) from None
        return outcome(call, reply)

    async def messages(self) -> AsyncIterator[Mapping[str, Any]]:
        """What the channels bring that `subscribe` asked for, to the end of the connection."""
        while (message := await self._messages.get()) is not None:
            yield message

    async def close(self) -> None:
        """Over; with `cancel_on_disconnect` its orders are cancelled."""
        await self._open.aclose()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _read(self) -> None:
        cause = "the connection has ended"
        try:
            while True:
                message = self._switchboard.receive(str(await self._socket.recv()))
                if message is not None:
                    if self._messages.qsize() >= MOST_MESSAGES:
                        raise NotRead
                    self._messages.put_nowait(message)
        except (WebSocketException, OSError) as error:
            cause = f"{type(error).__name__}: {error}"
        except NotRead:
            cause = NOT_READ
        finally:
            self._switchboard.close(cause)
            self._messages.put_nowait(None)
            await self._open.aclose()

    async def _stay(self) -> None:
        """A connection that asks for nothing is closed after a minute."""
        with contextlib.suppress(NoAnswer):
            while True:
                await asyncio.sleep(PING_SECONDS)
                await self.send(ping())


async def _cut_off(doing: Awaitable[T]) -> T:
    """Raises Cut where the connection ended."""
    try:
        return await doing
    except (WebSocketException, OSError) as error:
        raise Cut(f"{type(error).__name__}: {error}") from error


async def open_socket(stack: AsyncExitStack, url: str, trust_env: bool) -> ClientConnection:
    """A WebSocket that is closed with the stack. Raises Cut."""
    proxy: Literal[True] | None = True if trust_env else None
    connecting = connect(
        url.replace("http", "ws", 1), compression=None, open_timeout=OPEN_SECONDS, max_size=MOST_BYTES, proxy=proxy
    )
    try:
        return await stack.enter_async_context(connecting)
    except (WebSocketException, OSError) as error:
        raise Cut(f"{type(error).__name__}: {error}") from error
