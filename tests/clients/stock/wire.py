"""A wire that can be cut, between a client and the exchange."""

import asyncio
import contextlib
from urllib.parse import urlsplit


class Wire:
    """Forwards bytes to the exchange's port from a port of its own."""

    def __init__(self, url: str) -> None:
        self._port = urlsplit(url).port
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.connections = 0

    async def start(self) -> str:
        """The address that a client uses in place of the exchange's."""
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> int:
        """Every connection, without a word. How many there were."""
        many = len(self._writers) // 2
        for each in list(self._writers):
            each.transport.abort()
        return many

    async def stop(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers |= {writer, there_writer}
        try:
            await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
        finally:
            self._writers -= {writer, there_writer}
            writer.transport.abort()
            there_writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.transport.abort()
