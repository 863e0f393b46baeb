"""The network of the laps does what it is told, or a lap in which nothing went wrong says nothing."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from random import Random

import pytest

from tools.chaos.proxy import Proxy
from tools.rig.process import HOST

SOON = 0.3


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it receives."""
    with socket.create_server((HOST, 0)) as server:
        thread = threading.Thread(target=_serve, args=(server,), daemon=True)
        thread.start()
        yield server.getsockname()[1]


def _serve(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with contextlib.suppress(OSError), connection:
        while data := connection.recv(100):
            connection.sendall(data)


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    with Proxy("echo", echo, Random(1)) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, proxy.port)) as client:
        client.settimeout(SOON)
        assert ask(client) == b"?"
        yield client


def ask(client: socket.socket) -> bytes:
    client.sendall(b"?")
    return client.recv(1)


def test_what_is_held_arrives_when_it_is_let_go(proxy: Proxy, client: socket.socket) -> None:
    proxy.hold()
    with pytest.raises(TimeoutError):
        ask(client)
    proxy.let_go()
    assert client.recv(1) == b"?"


def test_what_is_late_or_lost_comes_later(proxy: Proxy, client: socket.socket) -> None:
    client.settimeout(10)
    proxy.delay = (0.1, 0.1)
    began = time.monotonic()
    assert ask(client) == b"?"
    assert time.monotonic() - began > 0.2
    proxy.heal()
    proxy.loss = 0.3
    while "pieces lost" not in proxy.counts:
        assert ask(client) == b"?"


def test_connections_are_reset(proxy: Proxy, client: socket.socket) -> None:
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_an_answer_is_lost_with_its_connection(proxy: Proxy, client: socket.socket) -> None:
    proxy.lost_answers = 1.0
    assert ask(client) == b""


def test_it_leads_elsewhere(proxy: Proxy, client: socket.socket) -> None:
    with socket.create_server((HOST, 0)) as other:
        proxy.target = other.getsockname()[1]
        proxy.cut()
        with socket.create_connection((HOST, proxy.port)):
            other.settimeout(5)
            other.accept()[0].close()
