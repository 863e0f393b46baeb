"""Clients that send half of a request, or take nothing of an answer, keep nobody else waiting.

Both servers that may face clients are asked: gunicorn as it is deployed, and uvicorn as the demo runs it.
"""

import http.client
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import httpx
import pytest

from base.web.hardening import HEADERS
from tools.rig import exchange
from tools.rig.process import HOST, LIMITS, Process
from tools.rig.servers import free_port

SECONDS = 1.5
MANY = 15
LATE = b"HTTP/1.1 408 Request Timeout"
HEAD = b"POST /api/v1/auth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
HALF_A_HEAD = HEAD[:40]
HALF_A_BODY = HEAD + b'Content-Length: 100\r\n\r\n{"username": '
PROGRAMS = {"gunicorn": exchange.rest, "uvicorn": exchange.web}


@pytest.fixture(scope="module", params=PROGRAMS)
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server with a database that has no tables, and without Redis: what is asked of it needs neither."""
    folder, port = tmp_path_factory.mktemp(request.param), free_port()
    program = PROGRAMS[request.param](port)
    away = f"redis://{HOST}:1/1"
    variables = {"DEMO": "1", "DATA_DIR": str(folder), "REDIS_URL": away, "BROKER_URL": away}
    variables |= {**dict.fromkeys(LIMITS, "off"), "REFRESH_LIMIT": "2/s"}
    variables |= {"REQUEST_SECONDS": str(SECONDS), "CONNECTION_MAX_PER_ADDRESS": str(4 * MANY), "DATABASE_URL": ""}
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    with Process(
        program.name, program.command, folder / "log", {**kept, **variables}, program.is_ready, program.stop_seconds
    ).start():
        for _ in range(10):
            # Each of gunicorn's processes needs a moment for its first one.
            ask(port)
        yield port


def connect(port: int, text: bytes = b"") -> socket.socket:
    client = socket.create_connection((HOST, port), timeout=SECONDS + 5)
    client.sendall(text)
    return client


def ask(port: int) -> float:
    """How long one honest request takes, over a connection of its own."""
    began = time.monotonic()
    connection = http.client.HTTPConnection(HOST, port, timeout=SECONDS + 5)
    connection.request("GET", "/api/v1/time")
    assert connection.getresponse().status == 200
    connection.close()
    return time.monotonic() - began


def last_words(client: socket.socket) -> bytes:
    received = b""
    while data := client.recv(65_536):
        received += data
    return received


def test_what_has_not_arrived_keeps_nobody_waiting_and_ends_in_time(port: int) -> None:
    """A byte now and then buys no time."""
    with ExitStack() as stack:
        began = time.monotonic()
        clients = {
            sent: [stack.enter_context(connect(port, sent)) for _ in range(MANY)]
            for sent in (b"", HALF_A_HEAD, HALF_A_BODY)
        }
        trickling = stack.enter_context(connect(port, HALF_A_BODY))
        for _ in range(10):
            trickling.send(b" ")
            assert ask(port) < 0.8 * SECONDS
            time.sleep(0.02)
        for sent, each in clients.items():
            words = [last_words(client) for client in each]
            assert {text.partition(b"\r\n")[0] for text in words} == {LATE if sent else b""}
            assert all(b"REQUEST_TIMEOUT" in text for text in words if sent)
        assert last_words(trickling).startswith(LATE)
        assert time.monotonic() < began + 4 * SECONDS


def test_who_does_not_hang_up_after_the_answer_keeps_nobody_waiting(port: int) -> None:
    """gunicorn's own loop waits two seconds for each of them."""
    last = b"GET /api/v1/time HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(MANY):
            assert stack.enter_context(connect(port, last)).recv(12) == b"HTTP/1.1 200"
        assert ask(port) < 0.8 * SECONDS


def test_requests_in_pieces_or_in_one_piece_are_answered_in_their_order(port: int) -> None:
    get = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    post = HEAD + b"Content-Length: 2\r\n\r\n{}"
    text = get % b"/api/v1/time" + post + get % b"/nothing" + get % b"/api/v1/time"
    for cut in (len(text), 100, len(text) - 10):
        with connect(port, text[:cut]) as client:
            time.sleep(0.1)
            client.sendall(text[cut:])
            received = b""
            while received.count(b"HTTP/1.1 ") < 4 or not received.rstrip().endswith(b"}"):
                data = client.recv(65_536)
                assert data, received
                received += data
        statuses = [int(part.split()[0]) for part in received.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [200, 400, 404, 200]


def test_a_body_that_is_too_large_is_refused_by_name(port: int) -> None:
    for size in (65_537, 300_000):
        answer = httpx.post(f"http://{HOST}:{port}/api/v1/auth/token", content=b"x" * size, trust_env=False)
        assert answer.status_code in (413, 415), answer.text


def test_curl_is_told_to_go_on_with_its_body(port: int) -> None:
    with connect(port, HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n") as client:
        assert client.recv(65_536).startswith(b"HTTP/1.1 100 Continue")
        client.sendall(b"{}")
        received = b""
        while not received.endswith(b"}") and (data := client.recv(65_536)):
            received += data
    assert b"HTTP/1.1 400" in received


def test_one_address_has_so_many_connections(port: int) -> None:
    """In each process: gunicorn has two."""
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(port)) for _ in range(10 * MANY)]
        words = [last_words(client) for client in clients]
    refused = [text for text in words if text]
    assert all(text.startswith(b"HTTP/1.1 429") and b"TOO_MANY_CONNECTIONS" in text for text in refused)
    assert len(refused) >= MANY


def test_who_was_told_to_wait_is_refused_without_a_thread(port: int) -> None:
    """As Django refused before: gunicorn signs what comes from a thread, and uvicorn closes what it left a body of."""
    connection = http.client.HTTPConnection(HOST, port, timeout=SECONDS + 5)

    def refresh(status: int) -> tuple[http.client.HTTPMessage, dict[str, Any]]:
        """The first answer with the status, and how long it says to wait."""
        for _ in range(100):
            connection.request("POST", "/api/v1/auth/token/refresh", b"{}", {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = json.loads(answer.read())
            if answer.status == status:
                return answer.headers, body
        raise AssertionError(f"no answer was {status}")

    with closing(connection):
        refresh(400)
        (by_django, _), (without, body) = refresh(429), refresh(429)
        assert "Server" not in without or without["Connection"] == "close"
        assert {*by_django} - {*without} <= {"Server", "Date", "Transfer-Encoding"}
        assert body["data"].keys() == {"limit", "bucket", "retryAfterMs"}
        assert (body["error"], without["X-RateLimit-Remaining"]) == ("TOO_MANY_REQUESTS", "0")
        time.sleep(body["data"]["retryAfterMs"] / 1000)
        refresh(400)


END = b"Host: 127.0.0.1\r\nConnection: close\r\n\r\n"
# By gunicorn or uvicorn, before the exchange sees anything. What is too long for one reaches it behind the other.
REFUSED = {
    "a line that is none": (b"GARBAGE\r\n\r\n", {400}),
    "a method that is none": (b"G@T /nowhere HTTP/1.1\r\n" + END, {400, 405}),
    "another version": (b"GET /nowhere HTTP/4.0\r\n" + END, {400, 404}),
    "a header that is none": (b"GET / HTTP/1.1\r\nno colon\r\n" + END, {400}),
    "two lengths": (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + END, {400}),
    "a coding": (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n" + END, {400, 411}),
    "a path": (b"GET /api/v1/" + b"x" * 9000 + b" HTTP/1.1\r\n" + END, {414, 404}),
    "a head": (b"GET /nowhere HTTP/1.1\r\nA: " + b"x" * 100_000 + b"\r\n" + END, {431, 400, 404}),
    "a host": (b"GET /api/v1/time HTTP/1.1\r\nHost: elsewhere\r\nConnection: close\r\n\r\n", {400}),
    "a handshake": (
        b"GET /api/v1/ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\nHost: a\r\n\r\n",
        {400, 404, 426},
    ),
}


def test_what_a_server_refuses_itself_is_in_the_envelope_with_all_headers(port: int) -> None:
    for name, (request, statuses) in REFUSED.items():
        with connect(port, request) as client:
            answer = http.client.HTTPResponse(client)
            answer.begin()
            body = answer.read()
        assert answer.headers["Content-Type"] == "application/json", (name, body)
        told = json.loads(body)
        assert answer.status in statuses, name
        assert (told["code"], {*told}) == (answer.status, {"code", "error", "message", "data", "timestamp"}), name
        assert "elsewhere" not in told["message"], "what was sent is not repeated"
        sent = {name: answer.headers.get_all(name) for name in HEADERS}
        assert sent == {name: [value] for name, value in HEADERS.items()}, name
