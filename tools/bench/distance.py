"""A database that is further away: a proxy in front of it, which lets each answer come late by a time.

A question passes at once and its answer waits, so each round trip takes longer by the delay, whatever its size; several
pieces of an answer wait beside each other. asyncio's usual way to wait counts in whole milliseconds, and so does the
proxy of tools.chaos; `select` counts in microseconds.

    python -m tools.bench.distance --listen 13306 --target 3306 --milliseconds 0.5
"""

import argparse
import asyncio
import ctypes
import selectors
import sys
import time
from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import Any, cast

from django.db import connection, connections

from tools.rig.process import HOST, LIBC

# prctl's number for how much later than asked the kernel may wake a thread, and that in nanoseconds: 50 microseconds
# are its default, a quarter of the shortest delay.
TIMER_SLACK, SLACK = 29, 1000
ASKED = 300


class Side(asyncio.Protocol):
    """One side of a connection; what it receives goes to the other, after the delay if it is an answer."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.other: asyncio.Transport | None = None
        self.waiting: deque[bytes] = deque()

    def data_received(self, data: bytes) -> None:
        self.waiting.append(data)
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self._pass)
        else:
            self._pass()

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None:
            self.other.close()

    def _pass(self) -> None:
        """The oldest piece: each has one call, so they keep their order."""
        if self.other is not None and self.waiting:
            self.other.write(self.waiting.popleft())


class Client(Side):
    """The side of who connects to the proxy, which then connects to the database."""

    def __init__(self, target: int, delay: float) -> None:
        super().__init__(0)
        self.target, self.late = target, delay
        self.connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connecting = asyncio.get_running_loop().create_task(self._connect(cast(asyncio.Transport, transport)))

    async def _connect(self, client: asyncio.Transport) -> None:
        try:
            server, side = await asyncio.get_running_loop().create_connection(
                lambda: Side(self.late), HOST, self.target
            )
        except OSError:
            client.close()
            return
        side.other, self.other = client, server
        while self.waiting:
            self._pass()


def round_trip(port: int) -> float:
    """The milliseconds of a question to the database through this port: the median of some hundred."""
    connections.databases["distant"] = {**connections.databases["default"], "PORT": str(port)}
    distant = connections["distant"]
    try:
        with distant.cursor() as cursor:
            return _median_milliseconds(cursor)
    finally:
        distant.close()
        del connections["distant"]
        del connections.databases["distant"]


def direct_round_trip() -> float:
    with connection.cursor() as cursor:
        return _median_milliseconds(cursor)


def _median_milliseconds(cursor: Any) -> float:
    times = []
    for _ in range(ASKED):
        began = time.perf_counter()
        cursor.execute("SELECT 1")
        cursor.fetchone()
        times.append((time.perf_counter() - began) * 1000)
    return median(times)


async def _serve(listen: int, target: int, delay: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Client(target, delay), HOST, listen)
    async with server:
        await server.serve_forever()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools.bench.distance", description=__doc__)
    parser.add_argument("--listen", type=int, required=True)
    parser.add_argument("--target", type=int, required=True)
    parser.add_argument("--milliseconds", type=float, default=0.0)
    options = parser.parse_args(arguments)
    if sys.platform == "linux":
        LIBC.prctl(TIMER_SLACK, ctypes.c_ulong(SLACK))
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(_serve(options.listen, options.target, options.milliseconds / 1000))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
