"""The async client: it takes the steps of conversations on asyncio and httpx."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Self, TypeVar

import httpx

from .calls.call import AsyncSender, Call, Reply
from .conversation import Conversations
from .credentials import Credentials, Nobody, headers_of
from .errors import ClearbellError, NotSignedIn
from .retry import Cut, Patient
from .steps import Alone, Pause, Request, Send, Step, Steps
from .streams.aio import AsyncSession, AsyncStream
from .streams.events import MarketNews, OrderNews
from .streams.following import Following, Over
from .streams.sources import OneMarket, OwnOrders
from .surface import Calls, StaffCalls
from .sync import KEEP_SECONDS, RETRY, TIMEOUT_SECONDS, cut_by

T = TypeVar("T")


class AsyncStaff(StaffCalls, AsyncSender):
    """An operator's calls, by the client's credentials."""

    def __init__(self, client: "AsyncClient") -> None:
        self._client = client

    async def send(self, call: Call[T]) -> T:
        return await self._client.send(call)


class AsyncClient(Calls, AsyncSender, AbstractAsyncContextManager["AsyncClient"]):
    """A user of the exchange at `url`, who is nobody without `credentials`.

    `http` is a client of httpx of one's own, which stays open and may be shared; `headers` are sent with each request.
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
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.conversations = Conversations(credentials or Nobody(), retry, headers)
        self.staff = AsyncStaff(self)
        limits = httpx.Limits(max_connections=None, keepalive_expiry=KEEP_SECONDS)
        self.http = http or httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=trust_env)
        self._is_own = http is None
        self._trust_env = trust_env
        self._lock = asyncio.Lock()

    async def send(self, call: Call[T], retry: Patient | None = None) -> T:
        """The answer, after as many attempts as it takes. Raises Refused, NoAnswer and NotUnderstood."""
        return await self._run(self.conversations.answer(call, retry))

    def order_events(self, *, position: str = "", over: Over = "events") -> "AsyncStream[OrderNews]":
        """One's own orders, each event once. `position` is that of an earlier stream, to go on from there."""
        source = OwnOrders(self.conversations, position)
        return AsyncStream(self, Following(self.conversations, source, over), self._trust_env)

    def market_events(self, symbol: str, *, over: Over = "events") -> "AsyncStream[MarketNews]":
        """A market's depth, trades and ticker."""
        source = OneMarket(self.conversations, symbol)
        return AsyncStream(self, Following(self.conversations, source, over), self._trust_env)

    async def session(self) -> AsyncSession:
        """A WebSocket on which orders are placed, and are cancelled when it goes, if that is wanted."""
        fields = await self._run(self.conversations.credentials.socket_fields(self.conversations.answer))
        try:
            return await AsyncSession.open(self.url, fields, self._trust_env)
        except NotSignedIn as refusal:
            if not self.conversations.credentials.was_refused(refusal, headers_of(fields)):
                raise
        # Signed anew, once.
        fields = await self._run(self.conversations.credentials.socket_fields(self.conversations.answer))
        return await AsyncSession.open(self.url, fields, self._trust_env)

    async def perform(self, step: Step) -> Any:
        """Do what a conversation asks for."""
        match step:
            case Send(request):
                return await self._exchange(request)
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Alone(steps):
                async with self._lock:
                    return await self._run(steps)
        raise TypeError(f"no step of a call: {step}")

    async def close(self) -> None:
        if self._is_own:
            await self.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, steps: Steps[T]) -> T:
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
                answer = await self.perform(step)
            except (Cut, ClearbellError) as raised:
                # Also what steps within a step raise: whoever asked for them decides.
                error = raised

    async def _exchange(self, request: Request) -> Reply:
        try:
            response = await self.http.request(
                request.method, self.url + request.target, headers=request.headers, content=request.content or None
            )
        except httpx.RequestError as error:
            raise cut_by(error) from error
        return Reply(response.status_code, response.headers, response.content)
