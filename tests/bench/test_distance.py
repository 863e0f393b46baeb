"""The proxy makes answers late by a time below a millisecond, and changes nothing else."""

import asyncio
import selectors
import time
from collections.abc import Awaitable, Callable
from statistics import median

from tools.bench.distance import Client
from tools.rig.process import HOST

LATE = 0.0007


def far(delay: float, use: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
    """Use a connection to a server that sends back what it receives, through a proxy with this delay."""

    async def run() -> None:
        server = await asyncio.start_server(echo, HOST, 0)
        target = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        proxy = await loop.create_server(lambda: Client(target, delay), HOST, 0)
        async with asyncio.timeout(20), server, proxy:
            reader, writer = await asyncio.open_connection(HOST, proxy.sockets[0].getsockname()[1])
            await use(reader, writer)
            writer.close()
            await writer.wait_closed()

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(run())


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100_000):
        writer.write(data)
    writer.close()


def test_an_answer_is_late_by_the_delay():
    times: dict[float, list[float]] = {}

    async def ask(reader, writer):
        for _ in range(50):
            began = time.perf_counter()
            writer.write(b"question")
            assert await reader.readexactly(8) == b"question"
            times[delay].append(time.perf_counter() - began)

    for delay in (0.0, LATE):
        times[delay] = []
        far(delay, ask)
    assert min(times[LATE]) >= LATE
    # A clock of whole milliseconds would make it a millisecond at the least.
    assert min(times[LATE]) < 0.001 or median(times[0.0]) > 0.0003


def test_pieces_keep_their_order():
    sent = b"".join(number.to_bytes(4, "big") * 5000 for number in range(100))

    async def send(reader, writer):
        writer.write(sent)
        assert await reader.readexactly(len(sent)) == sent

    far(LATE, send)
