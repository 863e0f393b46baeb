"""A client of the streams on a plain socket: it needs no thread, so that the tests can count the server's."""

import json
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self


@dataclass
class Told:
    """One event as it came, with all its lines."""

    type: str = "message"
    id: str | None = None
    text: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def data(self) -> Any:
        return json.loads(self.text)


class StreamClient:
    """Opens a URL and reads server-sent events. `last_event_id` is kept as a browser keeps it.

    `judge` is told each answer that is no stream: the tests hold it against the API's description.
    """

    judge: ClassVar[Callable[[str, str, int, str, Any], None] | None] = None

    def __init__(self, port: int, path: str, *, method: str = "GET", **headers: str) -> None:
        self._method, self._path = method, path
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        fields = {"Host": "127.0.0.1", **{name.replace("_", "-"): value for name, value in headers.items()}}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._socket.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
        self._raw = b""
        self._text = b""
        self.ended = False
        self.keep_alives = 0
        self.last_event_id = ""
        head_text = self._until(b"\r\n\r\n").decode("latin-1")
        first, *lines = head_text.split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def body(self) -> Any:
        """The JSON of an answer that is no stream."""
        length = int(self.headers["content-length"])
        while len(self._raw) < length:
            self._receive(5)
        body = json.loads(self._raw[:length])
        if StreamClient.judge is not None:
            StreamClient.judge(self._method, self._path, self.status, self.headers["content-type"], body)
        return body

    def next(self, timeout: float = 5) -> Told | None:
        """The next event, or None if none comes in time or the stream has ended."""
        deadline = time.monotonic() + timeout
        while True:
            while b"\n\n" in self._text:
                block, _, self._text = self._text.partition(b"\n\n")
                if told := self._parse(block.decode()):
                    return told
            if self.ended or not self._receive(deadline - time.monotonic()):
                return None

    def take(self, count: int, timeout: float = 10) -> list[Told]:
        """The next events; fewer if they do not come in time."""
        deadline = time.monotonic() + timeout
        told: list[Told] = []
        while len(told) < count and (event := self.next(max(0.0, deadline - time.monotonic()))):
            told.append(event)
        return told

    def ids(self, count: int, timeout: float = 10) -> list[str | None]:
        """The event ids of the next events; None for one that is no event of an order."""
        return [told.data.get("eventId") for told in self.take(count, timeout)]

    def _parse(self, block: str) -> Told | None:
        told = Told(lines=block.split("\n"))
        for line in told.lines:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "":
                self.keep_alives += 1
            elif name == "event":
                told.type = value
            elif name == "data":
                told.text += value
            elif name == "id":
                told.id = self.last_event_id = value
        return told if told.text else None

    def _receive(self, timeout: float) -> bool:
        """Read once; False if nothing came."""
        readable, _, _ = select.select([self._socket], [], [], max(0.0, timeout))
        if not readable:
            return False
        data = self._socket.recv(1 << 16)
        if not data:
            self.ended = True
            return True
        self._raw += data
        if self.status == 200:
            self._dechunk()
        return True

    def _dechunk(self) -> None:
        while b"\r\n" in self._raw:
            size, _, rest = self._raw.partition(b"\r\n")
            length = int(size, 16)
            if len(rest) < length + 2:
                return
            self._text += rest[:length]
            self._raw = rest[length + 2 :]
            self.ended = self.ended or length == 0

    def _until(self, mark: bytes) -> bytes:
        self.status = 0
        while mark not in self._raw:
            if not self._receive(10) or self.ended:
                raise ConnectionError(f"no answer, but {self._raw!r}")
        head, _, self._raw = self._raw.partition(mark)
        self.status = 200 if b"chunked" in head.lower() else 0
        if self.status:
            self._dechunk()
        return head
