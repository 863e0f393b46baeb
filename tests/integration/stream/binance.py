"""A client of Binance's streams, which keeps a book by Binance's published rules."""

import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from websockets.sync.client import ClientConnection, connect

from binance_api.representation import amount
from marketdata.depth_cache import find_depth

Side = dict[Decimal, Decimal]
Sides = tuple[Side, Side]


class BinanceSocket:
    """Events that come before an answer are kept."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._ids = itertools.count(1)
        self.kept: list[dict[str, Any]] = []

    def ask(self, method: str, params: Any = None, **more: Any) -> dict[str, Any]:
        """The answer to a request."""
        asked_id = next(self._ids)
        fields = {"method": method, "id": asked_id} | ({} if params is None else {"params": params}) | more
        self.connection.send(json.dumps(fields))
        while (frame := self._frame(5)).get("id") != asked_id:
            self.kept.append(frame)
        return frame

    def next(self, kind: str = "", timeout: float = 5) -> dict[str, Any]:
        """The next event of this kind; those of others are dropped."""
        deadline = time.monotonic() + timeout
        while True:
            event = self.kept.pop(0) if self.kept else self._frame(max(0.0, deadline - time.monotonic()))
            if not kind or event.get("e") == kind:
                return event

    def waiting(self, kind: str, seconds: float) -> list[dict[str, Any]]:
        """All events of this kind that come within so long."""
        found, deadline = [], time.monotonic() + seconds
        with contextlib.suppress(TimeoutError):
            while (left := deadline - time.monotonic()) > 0:
                found.append(self.next(kind, left))
        return found

    def _frame(self, timeout: float) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(self.connection.recv(timeout=timeout))
        return frame


@contextlib.contextmanager
def binance_socket(port: int, path: str = "/ws", **options: Any) -> Iterator[BinanceSocket]:
    options = {"open_timeout": 10, "close_timeout": 1, "proxy": None, "compression": None, **options}
    with connect(f"ws://127.0.0.1:{port}{path}", **options) as connection:
        yield BinanceSocket(connection)


class LocalBook:
    """A book by the rules: buffer, read the snapshot, drop what is old, and then every event follows the one before."""

    def __init__(self, snapshot: dict[str, Any]) -> None:
        self.last: int = snapshot["lastUpdateId"]
        self.bids, self.asks = _side(snapshot["bids"]), _side(snapshot["asks"])
        self._is_first = True

    @property
    def sides(self) -> Sides:
        return self.bids, self.asks

    def apply(self, event: dict[str, Any]) -> None:
        first, last = event["U"], event["u"]
        if last <= self.last:
            assert self._is_first, "an event comes twice"
            return
        assert first <= self.last + 1 if self._is_first else first == self.last + 1, (event, self.last)
        self._is_first, self.last = False, last
        for side, changes in ((self.bids, event["b"]), (self.asks, event["a"])):
            for price, quantity in changes:
                if Decimal(quantity):
                    side[Decimal(price)] = Decimal(quantity)
                else:
                    side.pop(Decimal(price), None)


def read_snapshot(symbol: str, limit: int = 500) -> dict[str, Any]:
    """What `GET /api/v3/depth` answers."""
    depth = find_depth(symbol, limit)
    sides = {
        name: [[amount(level["price"]), amount(level["quantity"])] for level in levels]
        for name, levels in (("bids", depth["bids"]), ("asks", depth["asks"]))
    }
    return {"lastUpdateId": depth["sequence"], **sides}


def _side(levels: list[list[str]]) -> Side:
    return {Decimal(price): Decimal(quantity) for price, quantity, *_ in levels}
