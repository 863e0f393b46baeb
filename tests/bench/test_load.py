"""The load generator against a server of a few lines: it counts what was stored, and nothing else passes for it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tools.bench.load import BATCH, ORDERS, Connection, Event, EventStream, LoadError, Pool, Request, post, press

STORED = b'{"code":202,"data":{"status":"PENDING"}}'
REQUEST = post(ORDERS, "token", b'{"symbol":"BTC-USD"}')


def http(status: str, body: bytes, *headers: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", "")).encode() + body


def chunk(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


def event(kind: str, number: int) -> bytes:
    return (
        f'event: {kind}\nid: BTC-USD-{number}\ndata: {{"orderId":{number},"eventId":"BTC-USD-{number}"}}\n\n'.encode()
    )


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
CONNECTED = b"retry: 1000\n" + event("connected", 0)


class Fake:
    """Answers each request with the next of its answers, in the given pieces; an empty one closes the connection."""

    def __init__(self, answers: list[list[bytes]]) -> None:
        self.answers = itertools.cycle(answers)
        self.connections = self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length or 0))
                self.requests += 1
                for piece in next(self.answers):
                    if not piece:
                        return
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.001)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def fake(*answers: list[bytes]) -> AsyncIterator[tuple[Fake, int]]:
    server = Fake(list(answers))
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        yield server, listening.sockets[0].getsockname()[1]


def test_it_counts_what_was_stored_on_one_connection():
    async def play():
        async with fake([http("202 Accepted", STORED)]) as (server, port):
            connection = Connection(port)
            answered = await press(connection, [REQUEST] * 5)
            connection.close()
            return [each.orders for each in answered], server.requests, server.connections

    assert asyncio.run(play()) == ([1] * 5, 5, 1)


def test_it_stops_at_the_instant():
    async def play():
        async with fake([http("202 Accepted", STORED)]) as (server, port):
            connection = Connection(port)
            answered = await press(connection, itertools.repeat(REQUEST), until=0)
            connection.close()
            return len(answered), server.requests

    assert asyncio.run(play()) == (1, 1)


def test_an_answer_may_come_in_pieces_and_end_the_connection():
    whole = http("202 Accepted", STORED, "Connection: close")

    async def play():
        async with fake([whole[:20], whole[20:-5], whole[-5:], b""]) as (server, port):
            answered = await press(Connection(port), [REQUEST] * 3)
            return len(answered), server.connections

    assert asyncio.run(play()) == (3, 3)


def test_a_pool_does_not_wait_for_answers():
    async def play():
        async with fake([http("202 Accepted", STORED)]) as (server, port):
            pool = Pool(port)
            await asyncio.gather(*(pool.place(REQUEST) for _ in range(3)))
            await pool.place(REQUEST)
            pool.close()
            return server.requests, server.connections

    assert asyncio.run(play()) == (4, 3)


@pytest.mark.parametrize(
    ("request_", "answer", "complaint"),
    [
        (REQUEST, http("400 Bad Request", b'{"error":"PRICE_OFF_TICK"}'), "PRICE_OFF_TICK"),
        (REQUEST, http("429 Too Many Requests", b"{}"), "429"),
        (REQUEST, http("202 Accepted", b"{}"), "0 of 1 orders stored"),
        (post(BATCH, "token", b"{}", 2), http("202 Accepted", STORED), "1 of 2 orders stored"),
        (REQUEST, b"", "cut off before the answer"),
        (REQUEST, b"HTTP/1.1 202 Accepted\r\n\r\n", "unknown length"),
    ],
)
def test_anything_but_stored_ends_it(request_: Request, answer: bytes, complaint: str):
    async def play():
        async with fake([answer]) as (_, port), asyncio.timeout(5):
            await press(Connection(port), [request_] * 2)

    with pytest.raises(LoadError, match=complaint):
        asyncio.run(play())


async def receive(
    pieces: list[bytes], is_enough: Callable[[list[Event]], bool]
) -> tuple[list[Event], LoadError | None]:
    """The events of a stream that is sent in these pieces, until it is enough or the stream has failed."""
    received: list[Event] = []
    async with fake(pieces) as (_, port), asyncio.timeout(5):
        stream = EventStream(port, "token", received.append)
        await stream.open()
        while not is_enough(received) and stream.failure is None:
            await asyncio.sleep(0.001)
        stream.close()
    return received, stream.failure


def test_a_stream_gives_each_event_once_however_it_is_cut():
    body = STREAM_HEAD + chunk(CONNECTED) + chunk(b": keep-alive\n\n")
    body += chunk(event("order-status-update", 1)[:30]) + chunk(event("order-status-update", 1)[30:])
    body += chunk(event("order-status-update", 2) + event("order-status-update", 3))
    for size in (7, 50, len(body)):
        pieces = [body[first : first + size] for first in range(0, len(body), size)]
        received, failure = asyncio.run(receive(pieces, lambda events: len(events) >= 3))
        assert [(each.kind, each.id) for each in received] == [
            (b"order-status-update", b"BTC-USD-1"),
            (b"order-status-update", b"BTC-USD-2"),
            (b"order-status-update", b"BTC-USD-3"),
        ]
        assert received[0].data == b'{"orderId":1,"eventId":"BTC-USD-1"}'
        assert failure is None


def test_a_stream_that_is_reset_has_failed():
    pieces = [STREAM_HEAD + chunk(CONNECTED), chunk(event("stream-reset", 1))]
    received, failure = asyncio.run(receive(pieces, lambda _: False))
    assert received == []
    assert "the stream was reset" in str(failure)


def test_a_stream_that_ends_by_itself_has_failed():
    received, failure = asyncio.run(receive([STREAM_HEAD + chunk(CONNECTED), b""], lambda _: False))
    assert received == []
    assert "the stream ended" in str(failure)


def test_a_stream_that_is_refused_is_not_open():
    with pytest.raises(LoadError, match="401"):
        asyncio.run(receive([http("401 Unauthorized", b"{}")], lambda _: False))
