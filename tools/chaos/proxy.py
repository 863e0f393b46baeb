"""A TCP proxy in front of a server: it delays what passes, holds it, loses answers, cuts connections, leads elsewhere.

It stands for the network between two processes. What is lost in a network comes late in TCP, because it is sent again:
so a loss is a delay by the time after which that is done, doubled where it is lost again.
"""

import asyncio
import socket
import struct
import threading
from dataclasses import dataclass, field
from random import Random
from typing import Self

from tools.rig.process import HOST
from tools.rig.servers import free_port

CHUNK = 65_536
# After which a sender's TCP sends again what was not acknowledged, at the least.
AGAIN_SECONDS = 0.2
LONGEST_SECONDS = 3.0
# Close with a reset and not with an end, as where a host has forgotten the connection.
RESET = struct.pack("ii", 1, 0)


@dataclass
class Proxy:
    """Runs in a thread of its own within the `with`. What its fields say holds from the next piece of data on."""

    name: str
    target: int
    random: Random
    port: int = field(default_factory=free_port)
    # The least and the most by which each piece comes late.
    delay: tuple[float, float] = (0.0, 0.0)
    # The share of pieces that the network loses.
    loss: float = 0.0
    # The share of the server's answers that never arrive, because the connection ends on the way.
    lost_answers: float = 0.0
    # How often each of it happened.
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._begun = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name=f"proxy-{self.name}")
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._begun.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def hold(self) -> None:
        """Nothing passes any more, and nobody gets an error: a partition."""
        self._loop.call_soon_threadsafe(self._passes.clear)

    def let_go(self) -> None:
        """What was held passes."""
        self._loop.call_soon_threadsafe(self._passes.set)

    def cut(self) -> None:
        """Reset all connections, whatever is under way on them."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    def heal(self) -> None:
        self.delay, self.loss, self.lost_answers = (0.0, 0.0), 0.0, 0.0
        self.let_go()

    async def _run(self) -> None:
        self._loop, self._end, self._passes = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        self._passes.set()
        server = await asyncio.start_server(self._serve, HOST, self.port)
        async with server:
            self._begun.set()
            await self._end.wait()
            await self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._passes.wait()
            from_server, to_server = await asyncio.open_connection(HOST, self.target)
        except OSError:
            # Nobody listens there: who connected gets an error at once, as without a proxy.
            self._forget(writer)
            return
        self._writers.add(to_server)
        for coroutine in (
            self._pump(reader, to_server, is_answer=False),
            self._pump(from_server, writer, is_answer=True),
        ):
            task = self._loop.create_task(coroutine)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        try:
            while data := await reader.read(CHUNK):
                await asyncio.sleep(self._lateness())
                await self._passes.wait()
                if is_answer and self.random.random() < self.lost_answers:
                    self._count("answers lost")
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            self._forget(writer)

    def _lateness(self) -> float:
        seconds, again = self.random.uniform(*self.delay), AGAIN_SECONDS
        while again < LONGEST_SECONDS and self.random.random() < self.loss:
            self._count("pieces lost")
            seconds, again = seconds + again, again * 2
        return seconds

    async def _cut(self) -> None:
        self._count("connections cut", len(self._writers) // 2)
        for writer in list(self._writers):
            own: socket.socket = writer.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        self._writers.clear()

    def _forget(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()

    def _count(self, what: str, by: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + by
