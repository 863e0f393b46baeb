"""How long an order takes by each of the ways to place one: REST and WebSocket, native and as Binance's clients do.

One client sends one order after the other, by each way in turn, so that all see the same machine. What is timed ends
with the answer: two of the ways are answered once the order is stored, the others once the engine has decided it.
"""

import hashlib
import hmac
import http.client
import itertools
import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from statistics import quantiles
from typing import Any, Self
from urllib.parse import urlencode

from websockets.sync.client import ClientConnection, connect

from tools.bench.load import LoadError
from tools.rig.process import HOST

WAIT_MS = 2_000
TIMEOUT_SECONDS = 20
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
Way = Callable[[], None]


class Ways:
    """A client with one connection for each way. Its orders buy one lot at a price at which somebody sells."""

    def __init__(self, port: int, symbol: str, order: Mapping[str, str], token: str, key: tuple[str, str]) -> None:
        self._order = {"symbol": symbol, "side": "BUY", "type": "LIMIT", "timeInForce": "IOC", **order}
        self._token, self._key, self._secret = token, *key
        self._numbers = itertools.count(1)
        self._names = f"way-{symbol}"
        self._port = port
        self._plain, self._waiting, self._theirs = (
            http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_SECONDS) for _ in range(3)
        )
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        self._socket, self._their_socket = (self._connected(path) for path in ("/api/v1/ws", "/ws-api/v3"))
        for connection in (self._plain, self._waiting, self._theirs):
            self._opened.callback(connection.close)
        self._ask({"op": "auth", "token": self._token}, 200)
        return self

    def _connected(self, path: str) -> ClientConnection:
        url = f"ws://{HOST}:{self._port}{path}"
        return self._opened.enter_context(connect(url, compression=None, proxy=None))

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def all(self) -> dict[str, Way]:
        return {
            "POST /api/v1/orders, stored": lambda: self._rest(self._plain, "/api/v1/orders", 202),
            "order.place of /api/v1/ws, stored": lambda: self._ask({"op": "order.place", "params": self._body()}, 202),
            "POST /api/v1/orders?wait=, decided": lambda: self._rest(
                self._waiting, f"/api/v1/orders?wait={WAIT_MS}", 200
            ),
            "POST /api/v3/order, FULL, decided": self._as_binance,
            "order.place of /ws-api/v3, FULL, decided": self._as_binance_by_socket,
        }

    def measure(self, count: int) -> dict[str, list[float]]:
        """The milliseconds of each order by each way, in turns. Raises LoadError."""
        ways = self.all()
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(count):
            for name, way in ways.items():
                began = time.perf_counter()
                way()
                times[name].append((time.perf_counter() - began) * 1000)
        return times

    def _body(self) -> dict[str, str]:
        return {**self._order, "clientOrderId": f"{self._names}-{next(self._numbers)}"}

    def _rest(self, connection: http.client.HTTPConnection, path: str, status: int) -> None:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": JSON}
        connection.request("POST", path, json.dumps(self._body()), headers)
        _answered(connection, status, b'"FILLED"' if status == http.client.OK else b"")

    def _as_binance(self) -> None:
        text = urlencode(self._form())
        headers = {"X-MBX-APIKEY": self._key, "Content-Type": FORM}
        self._theirs.request("POST", "/api/v3/order", f"{text}&signature={self._signature(text)}", headers)
        _answered(self._theirs, 200, b'"FILLED"')

    def _as_binance_by_socket(self) -> None:
        params = {**self._form(), "apiKey": self._key}
        params["signature"] = self._signature("&".join(f"{name}={params[name]}" for name in sorted(params)))
        self._their_socket.send(json.dumps({"id": next(self._numbers), "method": "order.place", "params": params}))
        answer = json.loads(self._their_socket.recv(TIMEOUT_SECONDS))
        if answer.get("result", {}).get("status") != "FILLED":
            raise LoadError(f"{answer}")

    def _form(self) -> dict[str, Any]:
        name = f"{self._names}-{next(self._numbers)}"
        form = {**self._order, "newClientOrderId": name, "newOrderRespType": "FULL"}
        return {**form, "timestamp": int(time.time() * 1000)}

    def _signature(self, text: str) -> str:
        return hmac.new(self._secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    def _ask(self, request: Mapping[str, Any], code: int) -> None:
        self._socket.send(json.dumps({"id": next(self._numbers), **request}))
        answer = json.loads(self._socket.recv(TIMEOUT_SECONDS))
        if answer.get("code") != code:
            raise LoadError(f"{answer}")


def _answered(connection: http.client.HTTPConnection, status: int, words: bytes) -> None:
    """Raises LoadError for another status, and for an answer without these words."""
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != status or words not in body:
        raise LoadError(f"{answer.status}: {body[:400]!r}")


def median_and_slowest(times: list[float]) -> tuple[float, float]:
    """The 50th and the 99th percentile."""
    cuts = quantiles(times, n=100)
    return cuts[49], cuts[98]
