"""A trader on a WebSocket, by the stock client library."""

import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

from rest_framework_simplejwt.tokens import AccessToken
from websockets.sync.client import ClientConnection, connect

from exchange.socket import PATH
from tests.support.tape import parse
from tests.support.world import World


class SocketTrader:
    """Sends operations and reads frames. Messages of channels that come before an answer are kept for `push`."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._ids = itertools.count(1)
        self.pushed: list[dict[str, Any]] = []

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """The answer to an operation."""
        asked_id = next(self._ids)
        self.connection.send(json.dumps({"id": asked_id, "op": op, **fields}))
        return self.answer(asked_id)

    def answer(self, asked_id: Any) -> dict[str, Any]:
        while "channel" in (frame := self.frame()):
            self.pushed.append(frame)
        assert frame["id"] == asked_id, frame
        return frame

    def push(self, event: str, timeout: float = 5) -> dict[str, Any]:
        """The next message of this type; those of others are dropped."""
        deadline = time.monotonic() + timeout
        while True:
            frame = self.pushed.pop(0) if self.pushed else self.frame(max(0.0, deadline - time.monotonic()))
            if frame.get("event") == event:
                return frame

    def frame(self, timeout: float = 5) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(self.connection.recv(timeout=timeout))
        return frame

    def sign_in(self, user: Any) -> dict[str, Any]:
        return self.ask("auth", token=str(AccessToken.for_user(user)))

    def follow(self, *channels: str, **more: Any) -> dict[str, Any]:
        return self.ask("subscribe", channels=list(channels), **more)


@contextlib.contextmanager
def socket(port: int, user: Any = None, path: str = PATH, **options: Any) -> Iterator[SocketTrader]:
    options = {"open_timeout": 10, "close_timeout": 1, "proxy": None, "compression": None, **options}
    with connect(f"ws://127.0.0.1:{port}{path}", **options) as connection:
        trader = SocketTrader(connection)
        if user is not None:
            assert trader.sign_in(user)["code"] == 200
        yield trader


def place(trader: SocketTrader, world: World, line: str, **more: Any) -> dict[str, Any]:
    """The answer to an order of one line."""
    return trader.ask("order.place", params=parse(line).body(world.symbol, **more))
