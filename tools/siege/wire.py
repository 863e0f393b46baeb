"""HTTP as an attacker speaks it: bytes on sockets, as many at once as it likes, from the addresses that it has."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from tools.rig.process import HOST

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 20.0
# An attacker that would stop at the first refusal goes on after a moment.
REFUSED_SECONDS = 0.05


@dataclass
class Target:
    """What an attacker knows: where to connect, from which addresses, and whose accounts it has."""

    port: int
    symbol: str
    addresses: list[str]
    tokens: list[str]
    seconds: float
    seed: int
    # What was answered, and what happened, by name.
    tally: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.began + self.seconds


def request(method: str, path: str, body: Any = None, *, token: str = "", **headers: str) -> bytes:
    """`body` is text as it is sent, or what is written as JSON."""
    text = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} /api/v1{path} HTTP/1.1" if not path.startswith("!") else f"{method} {path[1:]} HTTP/1.1"]
    fields: Mapping[str, str] = {"Host": HOST, **headers}
    lines += [f"{name}: {value}" for name, value in fields.items()]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(text)}"]
    return "\r\n".join([*lines, "", ""]).encode() + text


class Line:
    """One connection from one address."""

    def __init__(self, target: Target, address: str) -> None:
        self._target, self._address = target, address
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def __aenter__(self) -> "Line":
        async with asyncio.timeout(CONNECT_SECONDS):
            self.reader, self.writer = await asyncio.open_connection(
                HOST, self._target.port, local_addr=(self._address, 0)
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    async def ask(self, text: bytes) -> int:
        """The status, once the whole answer is read. Raises OSError, ValueError, EOFError or TimeoutError."""
        self.writer.write(text)
        async with asyncio.timeout(ANSWER_SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0].strip()
            if length:
                await self.reader.readexactly(int(length))
            elif b"chunked" in head:
                while size := int((await self.reader.readuntil(b"\r\n")).strip(), 16):
                    await self.reader.readexactly(size + 2)
                await self.reader.readexactly(2)
        if b"connection: close" in head:
            self.writer.close()
        return int(head.split()[1])


async def flood(target: Target, make: Callable[[int], bytes], lines: int, *, pause: float = 0.0) -> None:
    """So many connections at once, each with one request after the other, until the time is over."""
    addresses = cycle(target.addresses)
    await asyncio.gather(*(_flood(target, make, number, next(addresses), pause) for number in range(lines)))


async def _flood(target: Target, make: Callable[[int], bytes], number: int, address: str, pause: float) -> None:
    while not target.is_over:
        try:
            async with Line(target, address) as line:
                while not target.is_over and not line.writer.is_closing():
                    number += 1
                    status = await line.ask(make(number))
                    target.tally[str(status)] += 1
                    await asyncio.sleep(pause or (REFUSED_SECONDS if status == 429 else 0))
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            target.tally[type(error).__name__] += 1
            await asyncio.sleep(REFUSED_SECONDS)


async def until_over(target: Target) -> None:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(max(0.0, target.began + target.seconds - time.monotonic()))
