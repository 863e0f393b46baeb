"""Streams and WebSocket sessions that are read by a thread."""

import contextlib
import queue
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, cast

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from ..calls.call import Call, Reply, Sender
from ..calls.socket import SessionCalls, auth, ping
from ..credentials import SOCKET_TARGET
from ..errors import ClearbellError, NoAnswer
from ..retry import Cut
from ..steps import Deliver, Frame, OpenEvents, OpenSocket, Pause, Receive, Request, SendText, Step
from .following import Following
from .switchboard import ANSWER_SECONDS, MOST_MESSAGES, NOT_READ, PING_SECONDS, NotRead, Switchboard, no_answer, outcome

if TYPE_CHECKING:
    from ..sync import Client

T = TypeVar("T")
# The exchange sends a keep-alive every 15 s.
READ_SECONDS = 40.0
OPEN_SECONDS = 10.0
# What a frame of the exchange has at most, and more.
MOST_BYTES = 16 * 1024 * 1024


class Stream(Generic[T], Iterator[T]):
    """What happens, for ever: `for news in stream`. Closed by `close`, or at the end of its `with`."""

    def __init__(self, client: "Client", following: Following, trust_env: bool) -> None:
        self._client = client
        self._following = following
        self._trust_env = trust_env
        self._steps = following.steps()
        self._open = ExitStack()
        self._frames: Iterator[ServerSentEvent] = iter(())
        self._socket: ClientConnection | None = None
        self._answer: Any = None
        self._error: Cut | ClearbellError | None = None
        self._over = threading.Event()
        # Of server-sent events, beneath httpx.
        self._connection: socket.socket | None = None
        self._leaving = threading.Lock()

    @property
    def position(self) -> str:
        """Where it stands: given to `order_events` it goes on from there."""
        return self._following.source.position

    def __next__(self) -> T:
        while not self._over.is_set():
            step = self._steps.send(self._answer) if self._error is None else self._steps.throw(self._error)
            self._answer = self._error = None
            if isinstance(step, Deliver):
                return cast(T, step.event)
            try:
                self._answer = self._over.wait(step.seconds) if isinstance(step, Pause) else self._perform(step)
            except (Cut, ClearbellError) as error:
                # A call beside the stream may be cut off, and the stream goes on.
                if isinstance(step, OpenEvents | OpenSocket | SendText | Receive):
                    self._leave()
                self._error = error
        # It was closed perhaps while a connection was opened.
        self._leave()
        raise StopIteration

    def close(self) -> None:
        """End it; the thread that reads it comes to the end of its loop."""
        self._over.set()
        if self._connection is not None:
            # To close it would not wake the thread that reads it.
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
        self._leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _leave(self) -> None:
        with self._leaving:
            self._connection = None
            self._open.close()

    def _perform(self, step: Step) -> Any:
        match step:
            case OpenEvents(request):
                return self._open_events(request)
            case OpenSocket(target):
                return self._open_socket(target)
            case SendText(text):
                return self._with_socket(lambda connection: connection.send(text))
            case Receive() if self._socket is not None:
                return Frame("", "", str(self._with_socket(lambda connection: connection.recv())))
            case Receive():
                return self._receive()
        return self._client.perform(step)

    def _open_events(self, request: Request) -> Reply | None:
        self._leave()
        self._socket = None
        timeout = httpx.Timeout(OPEN_SECONDS, read=READ_SECONDS)
        try:
            response = self._open.enter_context(
                self._client.http.stream(
                    request.method, self._client.url + request.target, headers=request.headers, timeout=timeout
                )
            )
            if response.status_code != httpx.codes.OK:
                return Reply(response.status_code, response.headers, response.read())
        except httpx.RequestError as error:
            raise Cut(f"{type(error).__name__}: {error}") from error
        beneath = response.extensions.get("network_stream")
        self._connection = None if beneath is None else beneath.get_extra_info("socket")
        self._frames = EventSource(response).iter_sse()
        return None

    def _receive(self) -> Frame:
        try:
            return frame_of(next(self._frames))
        except StopIteration:
            raise Cut("the stream has ended") from None
        except (httpx.RequestError, httpx.StreamError, SSEError) as error:
            raise Cut(f"{type(error).__name__}: {error}") from error

    def _open_socket(self, target: str) -> None:
        self._leave()
        self._socket = open_socket(self._open, self._client.url + target, self._trust_env)

    def _with_socket(self, act: Any) -> Any:
        assert self._socket is not None
        try:
            return act(self._socket)
        except (WebSocketException, OSError) as error:
            raise Cut(f"{type(error).__name__}: {error}") from error


class Session(SessionCalls, Sender):
    """One WebSocket: requests are answered in turn, and nothing is repeated. When the connection goes, it is over: what
    was not answered raises NoAnswer, and the same order may be placed again elsewhere.
    """

    def __init__(self, url: str, fields: Mapping[str, Any], trust_env: bool) -> None:
        self._switchboard: Switchboard[Future[Reply]] = Switchboard(Future)
        self._messages: queue.Queue[Mapping[str, Any] | None] = queue.Queue()
        self._open = ExitStack()
        try:
            self._socket = open_socket(self._open, url + SOCKET_TARGET, trust_env)
        except Cut as cut:
            raise NoAnswer("connect", str(cut), 1) from cut
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=each, name="clearbell-session", daemon=True) for each in (self._read, self._stay)
        ]
        for thread in self._threads:
            thread.start()
        try:
            if fields:
                self.send(auth(fields))
        except BaseException:
            self.close()
            raise

    def send(self, call: Call[T]) -> T:
        """The answer. Raises Refused and NoAnswer."""
        try:
            reply = self._ask(call).result(ANSWER_SECONDS)
        except TimeoutError:
            raise no_answer(call) from None
        return outcome(call, reply)

    def messages(self) -> Iterator[Mapping[str, Any]]:
        """What the channels bring that `subscribe` asked for, to the end of the connection."""
        while (message := self._messages.get()) is not None:
            yield message

    def close(self) -> None:
        """Over; with `cancel_on_disconnect` its orders are cancelled."""
        self._over.set()
        self._open.close()
        for thread in self._threads:
            thread.join(OPEN_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, call: Call[Any]) -> "Future[Reply]":
        with self._lock:
            text, waiting = self._switchboard.ask(call)
            try:
                self._socket.send(text)
            except (WebSocketException, OSError) as error:
                self._switchboard.close(f"{type(error).__name__}: {error}")
        return waiting

    def _read(self) -> None:
        cause = "the connection has ended"
        try:
            while True:
                message = self._switchboard.receive(str(self._socket.recv()))
                if message is not None:
                    if self._messages.qsize() >= MOST_MESSAGES:
                        raise NotRead
                    self._messages.put(message)
        except (WebSocketException, OSError) as error:
            cause = f"{type(error).__name__}: {error}"
        except NotRead:
            cause = NOT_READ
        finally:
            self._over.set()
            self._switchboard.close(cause)
            self._messages.put(None)
            self._open.close()

    def _stay(self) -> None:
        """A connection that asks for nothing is closed after a minute."""
        while not self._over.wait(PING_SECONDS):
            self._ask(ping())


def frame_of(event: ServerSentEvent) -> Frame:
    """An event as conversations read it."""
    return Frame(event.event, event.id, event.data, None if event.retry is None else event.retry / 1000)


def open_socket(stack: ExitStack, url: str, trust_env: bool) -> ClientConnection:
    """A WebSocket that is closed with the stack. Raises Cut."""
    proxy: Literal[True] | None = True if trust_env else None
    connecting = connect(
        url.replace("http", "ws", 1), compression=None, open_timeout=OPEN_SECONDS, max_size=MOST_BYTES, proxy=proxy
    )
    try:
        return stack.enter_context(connecting)
    except (WebSocketException, OSError) as error:
        raise Cut(f"{type(error).__name__}: {error}") from error
