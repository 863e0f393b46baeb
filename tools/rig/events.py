"""Server-sent events as a client keeps reading them: whenever the stream ends it is opened again, after the last id.

The benchmark has a reader of its own (tools.bench.load), because it shares the machine with what it measures: an event
costs it 3 microseconds, where httpx and httpx-sse take 17.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import httpx
from httpx_sse import SSEError, aconnect_sse

# The server sends a keep-alive every 15 s.
READ_SECONDS = 40
RETRY_SECONDS, THREAD_RETRY_SECONDS = 1.0, 0.2
ORDER_STATUS = "/api/v1/stream/order-status"
# Not sent by the server: the stream was opened; it was refused, with the status as the data.
OPEN, REFUSED = "open", "refused"
RESET = "stream-reset"


@dataclass(frozen=True)
class Event:
    """One event, with its data parsed."""

    kind: str
    id: str = ""
    data: Any = None


class EventStream:
    """One stream; `handle` is called for each event, at least once. `headers` are asked for at each opening.

    Without `retry_seconds` it is opened again when the server wants it.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        path: str,
        handle: Callable[[Event], None],
        headers: Callable[[], Awaitable[Mapping[str, str]]],
        *,
        last_event_id: str = "",
        retry_seconds: float | None = None,
    ) -> None:
        self._http = http
        self._path = path
        self._handle = handle
        self._headers = headers
        self._last_event_id = last_event_id
        self._retry_seconds = retry_seconds
        self._wanted_seconds = RETRY_SECONDS

    async def run(self) -> None:
        """Read for ever."""
        while True:
            # What is missed while the connection is broken is sent again after the last id.
            with contextlib.suppress(httpx.TransportError, SSEError):
                await self._read()
            await asyncio.sleep(self._wanted_seconds if self._retry_seconds is None else self._retry_seconds)

    async def _read(self) -> None:
        headers = dict(await self._headers())
        if self._last_event_id:
            headers["Last-Event-ID"] = self._last_event_id
        timeout = httpx.Timeout(10, read=READ_SECONDS)
        async with aconnect_sse(self._http, "GET", self._path, headers=headers, timeout=timeout) as source:
            if source.response.status_code != httpx.codes.OK:
                self._handle(Event(REFUSED, data=source.response.status_code))
                return
            self._handle(Event(OPEN))
            async for event in source.aiter_sse():
                if event.retry is not None:
                    self._wanted_seconds = event.retry / 1000
                # A reset may take the id away; any other event without one leaves the last.
                if event.id or event.event == RESET:
                    self._last_event_id = event.id
                if event.data:
                    self._handle(Event(event.event, event.id, json.loads(event.data)))


class EventThread:
    """A stream that is read in a thread of its own within the `with`, for programs that wait for each answer."""

    def __init__(
        self, url: str, path: str, handle: Callable[[Event], None], *, token: str = "", last_event_id: str = ""
    ) -> None:
        self._url = url
        self._path = path
        self._handle = handle
        self._token = token
        self._last_event_id = last_event_id
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events")
        # What ended the thread before its time: `handle` failed.
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._begun.wait()
        return self

    def __exit__(self, *_: object) -> None:
        # The loop is closed where `handle` failed.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._read())
        except asyncio.CancelledError:
            return
        except Exception as error:
            self.error = error

    async def _read(self) -> None:
        task = asyncio.current_task()
        assert task
        self._loop, self._task = asyncio.get_running_loop(), task
        self._begun.set()
        async with httpx.AsyncClient(base_url=self._url, trust_env=False) as http:
            stream = EventStream(
                http,
                self._path,
                self._handle,
                self._authorization,
                last_event_id=self._last_event_id,
                retry_seconds=THREAD_RETRY_SECONDS,
            )
            await stream.run()

    async def _authorization(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}
