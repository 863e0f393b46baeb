"""The sync client: it takes the steps of conversations one after the other, on httpx."""

import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Self, TypeVar

import httpx

from .calls.call import Call, Reply, Sender
from .conversation import Conversations
from .credentials import Credentials, Nobody, headers_of
from .errors import ClearbellError, NotSignedIn
from .retry import Cut, Patient, Retry
from .steps import Alone, Pause, Request, Send, Step, Steps
from .streams.events import MarketNews, OrderNews
from .streams.following import Following, Over
from .streams.sources import OneMarket, OwnOrders
from .streams.sync import Session, Stream
from .surface import Calls, StaffCalls

T = TypeVar("T")
TIMEOUT_SECONDS = 10.0
# Closed before the server closes them, which would look like a request that was cut off.
KEEP_SECONDS = 2.0
RETRY = Retry()
# What httpx raises before anything was sent.
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class Staff(StaffCalls, Sender):
    """An operator's calls, by the client's credentials."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def send(self, call: Call[T]) -> T:
        return self._client.send(call)


class Client(Calls, Sender, AbstractContextManager["Client"]):
    """A user of the exchange at `url`, who is nobody without `credentials`. It may be used by several threads.

    `http` is a client of httpx of one's own, which stays open; `headers` are sent with each request.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials | None = None,
        *,
        retry: Patient = RETRY,
        timeout: float = TIMEOUT_SECONDS,
        headers: Mapping[str, str] | None = None,
        trust_env: bool = True,
        http: httpx.Client | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.conversations = Conversations(credentials or Nobody(), retry, headers)
        self.staff = Staff(self)
        limits = httpx.Limits(max_connections=None, keepalive_expiry=KEEP_SECONDS)
        self.http = http or httpx.Client(timeout=timeout, limits=limits, trust_env=trust_env)
        self._is_own = http is None
        self._trust_env = trust_env
        self._lock = threading.Lock()

    def send(self, call: Call[T], retry: Patient | None = None) -> T:
        """The answer, after as many attempts as it takes. Raises Refused, NoAnswer and NotUnderstood."""
        return self._run(self.conversations.answer(call, retry))

    def order_events(self, *, position: str = "", over: Over = "events") -> "Stream[OrderNews]":
        """One's own orders, each event once. `position` is that of an earlier stream, to go on from there."""
        source = OwnOrders(self.conversations, position)
        return Stream(self, Following(self.conversations, source, over), self._trust_env)

    def market_events(self, symbol: str, *, over: Over = "events") -> "Stream[MarketNews]":
        """A market's depth, trades and ticker."""
        source = OneMarket(self.conversations, symbol)
        return Stream(self, Following(self.conversations, source, over), self._trust_env)

    def session(self) -> Session:
        """A WebSocket on which orders are placed, and are cancelled when it goes, if that is wanted."""
        fields = self._run(self.conversations.credentials.socket_fields(self.conversations.answer))
        try:
            return Session(self.url, fields, self._trust_env)
        except NotSignedIn as refusal:
            if not self.conversations.credentials.was_refused(refusal, headers_of(fields)):
                raise
        # Signed anew, once.
        fields = self._run(self.conversations.credentials.socket_fields(self.conversations.answer))
        return Session(self.url, fields, self._trust_env)

    def perform(self, step: Step) -> Any:
        """Do what a conversation asks for."""
        match step:
            case Send(request):
                return self._exchange(request)
            case Pause(seconds):
                return time.sleep(seconds)
            case Alone(steps):
                with self._lock:
                    return self._run(steps)
        raise TypeError(f"no step of a call: {step}")

    def close(self) -> None:
        if self._is_own:
            self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, steps: Steps[T]) -> T:
        answer: Any = None
        error: Cut | ClearbellError | None = None
        while True:
            try:
                step = steps.send(answer) if error is None else steps.throw(error)
            except StopIteration as end:
                outcome: T = end.value
                return outcome
            answer = error = None
            try:
                answer = self.perform(step)
            except (Cut, ClearbellError) as raised:
                # Also what steps within a step raise: whoever asked for them decides.
                error = raised

    def _exchange(self, request: Request) -> Reply:
        try:
            response = self.http.request(
                request.method, self.url + request.target, headers=request.headers, content=request.content or None
            )
        except httpx.RequestError as error:
            raise cut_by(error) from error
        return Reply(response.status_code, response.headers, response.content)


def cut_by(error: httpx.RequestError) -> Cut:
    """What a conversation makes of an error of httpx."""
    return Cut(f"{type(error).__name__}: {error}".rstrip(": "), was_sent=not isinstance(error, NOT_SENT))
