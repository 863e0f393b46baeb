"""The transports of both clients, sync and async, in front of what the test answers."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from clients.python.clearbell import AsyncClient, Client, Interrupted, NoAnswer, Opened, Password, Retry, limit
from clients.python.clearbell.streams import following

BUY = limit("BTC-USD", "BUY", "2", "100")
TOKENS = {"accessToken": "a", "refreshToken": "r", "expiresIn": 0}
Answer = Callable[[httpx.Request], httpx.Response]


def envelope(status: int, data: Any = None, **beside: Any) -> httpx.Response:
    return httpx.Response(status, content=json.dumps({"code": status, "data": data, **beside}))


def in_both(answer: Answer, act: Callable[[Any], Any], **options: Any) -> None:
    """`act` is done with the sync client, and awaited with the async one."""
    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        act(Client("http://exchange", http=http, **options))

    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            await act(AsyncClient("http://exchange", http=http, **options))

    asyncio.run(run())


def test_an_answer_that_cannot_be_unpacked_is_none():
    def answer(request: httpx.Request) -> httpx.Response:
        # As it came over the wire: a body that was given is unpacked at once.
        return httpx.Response(202, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip"))

    def act(client):
        if isinstance(client, AsyncClient):
            return refused(client)
        with pytest.raises(NoAnswer):
            client.place(BUY)
        return None

    async def refused(client):
        with pytest.raises(NoAnswer):
            await client.place(BUY)

    in_both(answer, act, retry=Retry(attempts=2, first_pause=0.01))


def test_a_stream_waits_also_where_nobody_can_sign_in(monkeypatch):
    monkeypatch.setattr(following, "FIRST_PAUSE", 0.01)
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path.rpartition("/")[2])
        match asked[-1]:
            case "token" | "refresh":
                # Away for three requests once the stream has ended.
                is_away = "orders" in asked and len(asked) <= asked.index("orders") + 4
                return envelope(500 if is_away else 200, TOKENS)
            case "order-status":
                return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=b": hello\n\n")
        return envelope(200, [], asOf={})

    def act(client):
        asked.clear()
        if isinstance(client, AsyncClient):
            return read(client)
        with client.order_events() as stream:
            check([next(stream) for _ in range(4)])
        return None

    async def read(client):
        async with client.order_events() as stream:
            check([await anext(stream) for _ in range(4)])

    def check(news):
        assert [type(each) for each in news] == [Opened, Interrupted, Interrupted, Opened]
        assert "unknown" in news[2].cause

    in_both(answer, act, credentials=Password("alice", "secret"), retry=Retry(attempts=2, first_pause=0.01))


def test_a_stream_that_is_closed_by_another_thread_ends_at_once_also_in_a_pause(monkeypatch):
    monkeypatch.setattr(following, "FIRST_PAUSE", 60.0)

    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("away")

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        stream = Client("http://exchange", http=http).market_events("BTC-USD")
        assert isinstance(next(stream), Interrupted)
        reader = threading.Thread(target=lambda: list(stream), daemon=True)
        reader.start()
        stream.close()
        reader.join(5)
        assert not reader.is_alive()


@pytest.mark.parametrize("way", ["silent", "away"])
def test_a_stream_that_is_closed_by_another_task_ends_at_once(monkeypatch, way):
    """While it waits for an event, and in a pause."""
    monkeypatch.setattr(following, "FIRST_PAUSE", 60.0)
    trades = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"data": []}'

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/stream/" not in await reader.readuntil(b"\r\n\r\n"):
            writer.write(trades)
        elif way == "silent":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n")
            await reader.read()
        writer.close()

    async def run() -> list[Any]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, AsyncClient(url, trust_env=False) as client:
            stream = client.market_events("BTC-USD")
            first = await anext(stream)
            reading = asyncio.create_task(_rest_of(stream))
            await asyncio.sleep(0.05)
            await stream.close()
            return [first, *await asyncio.wait_for(reading, 5)]

    assert [type(each) for each in asyncio.run(run())] == [Opened if way == "silent" else Interrupted]


async def _rest_of(stream: AsyncIterator[Any]) -> list[Any]:
    return [news async for news in stream]
