"""Sessions over a WebSocket, sync and async, in front of a server that does what a bad network does."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from clients.python.clearbell import AccessToken, AsyncClient, Client, HmacKey, NoAnswer, NotSignedIn
from clients.python.clearbell.streams import aio, sync

WRONG = {"code": 401, "error": "NOT_AUTHENTICATED", "message": "", "data": {"reason": "SESSION_OVER"}}

SERVER_TIME = 1_767_225_600_000
TOKEN = AccessToken("a")


@contextmanager
def exchange(answer: Callable[[ServerConnection, dict[str, Any]], None]) -> Iterator[tuple[str, list[threading.Event]]]:
    """Its address, and of each connection whether it is over."""
    ended: list[threading.Event] = []

    def handle(connection: ServerConnection) -> None:
        ended.append(threading.Event())
        mine = ended[-1]
        try:
            for text in connection:
                answer(connection, json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            mine.set()

    with serve(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}", ended
        server.shutdown()
        thread.join()


def in_both(url: str, act: Callable[[Any], Any]) -> None:
    """`act` is done with the sync client, and awaited with the async one."""
    with Client(url, TOKEN, trust_env=False) as client:
        act(client)

    async def run() -> None:
        async with AsyncClient(url, TOKEN, trust_env=False) as client:
            await act(client)

    asyncio.run(run())


def test_a_session_that_is_refused_leaves_no_connection_and_no_thread():
    def act(client):
        if isinstance(client, AsyncClient):
            return refused(client)
        with pytest.raises(NotSignedIn):
            client.session()
        return None

    async def refused(client):
        with pytest.raises(NotSignedIn):
            await client.session()
        assert len(asyncio.all_tasks()) == 1

    with exchange(lambda connection, asked: connection.send(json.dumps({"id": asked["id"], **WRONG}))) as (url, ended):
        in_both(url, act)
        assert len(ended) == 2 and all(each.wait(5) for each in ended)
        assert not [each for each in threading.enumerate() if each.name == "clearbell-session"]


def test_a_session_is_signed_by_the_clock_of_the_exchange():
    def answer(connection, asked):
        is_late = abs(asked.get("timestamp", SERVER_TIME) - SERVER_TIME) > 5_000
        late = {"code": 401, "error": "TIMESTAMP_OUT_OF_WINDOW", "data": {"serverTime": SERVER_TIME}}
        done = {"code": 200, "data": {"serverTime": "2026-01-01T00:00:00Z"}}
        connection.send(json.dumps({"id": asked["id"], **(late if is_late else done)}))

    def act(client):
        client.conversations.credentials = HmacKey("id", "secret")
        return opened(client) if isinstance(client, AsyncClient) else client.session().close()

    async def opened(client):
        async with await client.session() as session:
            await session.ping()

    with exchange(answer) as (url, ended):
        in_both(url, act)
        assert len(ended) == 4


def test_what_is_not_answered_in_time_is_unknown(monkeypatch):
    for module in (sync, aio):
        monkeypatch.setattr(module, "ANSWER_SECONDS", 0.1)

    def answer(connection, asked):
        if asked["op"] == "auth":
            connection.send(json.dumps({"id": asked["id"], "code": 200, "data": {}}))

    def act(client):
        if isinstance(client, AsyncClient):
            return wait(client)
        with client.session() as session, pytest.raises(NoAnswer):
            session.cancel(7)
        return None

    async def wait(client):
        async with await client.session() as session:
            with pytest.raises(NoAnswer):
                await session.cancel(7)

    with exchange(answer) as (url, _):
        in_both(url, act)


def test_messages_that_nobody_reads_end_the_session(monkeypatch):
    for module in (sync, aio):
        monkeypatch.setattr(module, "MOST_MESSAGES", 5)

    def answer(connection, asked):
        connection.send(json.dumps({"id": asked["id"], "code": 200, "data": {"channels": []}}))
        if asked["op"] == "subscribe":
            for number in range(9):
                connection.send(json.dumps({"channel": "orders", "event": "x", "data": {"number": number}}))

    def act(client):
        if isinstance(client, AsyncClient):
            return wait(client)
        with client.session() as session:
            session.subscribe("orders")
            assert ended[0].wait(5)
            assert [message["data"]["number"] for message in session.messages()] == [0, 1, 2, 3, 4]
            with pytest.raises(NoAnswer, match="not read"):
                session.ping()
        return None

    async def wait(client):
        async with await client.session() as session:
            await session.subscribe("orders")
            assert await asyncio.to_thread(ended[1].wait, 5)
            assert [message["data"]["number"] async for message in session.messages()] == [0, 1, 2, 3, 4]
            with pytest.raises(NoAnswer, match="not read"):
                await session.ping()

    with exchange(answer) as (url, ended):
        in_both(url, act)
