"""A user's own order stream: server-sent events that go on where they were cut off."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from tools.demo.client import PREFIX, Client
from tools.demo.tally import Tally

# The server says something at least every 15 s.
SILENCE_SECONDS = 40
RETRY_SECONDS = 1.0


@dataclass
class Event:
    kind: str
    data: Any


class OrderStream:
    """Listens for as long as it runs; `handle` is called for each event, at least once."""

    def __init__(self, client: Client, tally: Tally, handle: Callable[[Event], None]) -> None:
        self._client = client
        self._tally = tally
        self._handle = handle
        self._last_event_id = ""
        self._retry_seconds = RETRY_SECONDS
        self.is_open = asyncio.Event()

    async def run(self) -> None:
        while True:
            # When it is cut off, what is missed meanwhile is replayed after the id seen last.
            with contextlib.suppress(httpx.TransportError):
                await self._listen()
            self.is_open.clear()
            await asyncio.sleep(self._retry_seconds)
            self._tally.reconnected += 1

    async def _listen(self) -> None:
        headers = {"Accept": "text/event-stream", **await self._client.authorization()}
        if self._last_event_id:
            headers["Last-Event-ID"] = self._last_event_id
        timeout = httpx.Timeout(10, read=SILENCE_SECONDS)
        path = f"{PREFIX}/stream/order-status"
        async with self._client.http.stream("GET", path, headers=headers, timeout=timeout) as response:
            if response.status_code == 401:
                self._client.forget_token()
            if response.status_code != 200:
                return
            self.is_open.set()
            async for event in self._events(response):
                self._handle(event)

    async def _events(self, response: httpx.Response) -> AsyncIterator[Event]:
        """Server-sent events as their standard has it: fields line by line, an empty line ends each."""
        kind, data, event_id = "message", "", self._last_event_id
        async for line in response.aiter_lines():
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                kind = value
            elif field == "data":
                data += value
            elif field == "id":
                event_id = value
            elif field == "retry" and value.isdigit():
                self._retry_seconds = int(value) / 1000
            elif not line:
                self._last_event_id = event_id
                if data:
                    yield Event(kind, json.loads(data))
                kind, data = "message", ""
