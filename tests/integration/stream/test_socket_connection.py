"""The connection under a WebSocket: it was an HTTP connection before."""

import http.client
import json
import socket
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from base.web.hardening import HEADERS
from exchange.socket import PATH

pytestmark = pytest.mark.django_db(transaction=True)
HANDSHAKE = (
    b"GET " + PATH.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.mark.parametrize("asks_before", [False, True])
def test_it_outlives_the_time_in_which_a_request_must_arrive(
    transactional_db: None, port: int, settings: Any, asks_before: bool
) -> None:
    settings.REQUEST_SECONDS = 0.3
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.connect()
    if asks_before:
        connection.request("GET", PATH)
        assert connection.getresponse().read()
    client: socket.socket = connection.sock
    client.sendall(HANDSHAKE)
    assert client.recv(65_536).startswith(b"HTTP/1.1 101")
    client.settimeout(1.0)
    with pytest.raises(TimeoutError):
        client.recv(1)
    connection.close()


def test_on_another_path_it_is_refused_in_the_envelope(transactional_db: None, port: int) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"ws://127.0.0.1:{port}/api/v1/nothing", proxy=None):
        pass
    answer = refused.value.response
    assert (answer.status_code, json.loads(answer.body)["error"]) == (404, "NOT_FOUND")
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
