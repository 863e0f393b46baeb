"""Follow a market's feed: from Redis as it comes, and from the rows what is missing there.

The consumer knows the number of the last entry that it handled, and keeps it in a file. It begins with the rows after
that number and goes on with the Redis stream. An entry that names another entry before it than the last one shows a
gap, which is read from the rows; so is what came while nothing was heard for some time. So each entry is handled in its
order and once, or twice where the consumer was killed between an entry and the file. What its handler refuses is
written to a list of dead letters, and keeps nothing else waiting.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from redis import Redis

AT_ONCE = 500


class RefusedError(Exception):
    """Raised by a handler for an entry that it cannot use, now or later."""


class Entry(NamedTuple):
    number: int
    event: str
    data: dict[str, Any]

    @property
    def previous(self) -> int:
        """The number of the entry before it. Order updates are numbered without a gap."""
        return int(self.data.get("previous", self.number - 1))


# Gives the stored entries after a number, oldest first; none at the end.
ReadRows = Callable[[int], Iterable[Entry]]
Handle = Callable[[Entry], None]


class Consumer:
    """One feed of one market."""

    def __init__(self, name: str, client: "Redis", read_rows: ReadRows, handle: Handle, folder: Path) -> None:
        """`name` is that of the feed and its market, as in the Redis stream: "trades:BTC-USD"."""
        self._stream = f"feed:{name}"
        self._client = client
        self._read_rows = read_rows
        self._handle = handle
        stem = name.replace(":", "-")
        self._file = folder / f"{stem}.position"
        self._dead_letters = folder / f"{stem}.dead-letters.jsonl"
        self.position = int(self._file.read_text()) if self._file.exists() else 0

    def catch_up(self) -> None:
        """Handle what the rows have after the last entry."""
        while found := list(self._read_rows(self.position)):
            for entry in found:
                self._take(entry)
            self._save()

    def follow(self, wait_seconds: float) -> None:
        """Handle what comes next from Redis; after so many seconds without anything look into the rows."""
        answer: Any = self._client.xread({self._stream: f"{self.position}-0"}, AT_ONCE, int(wait_seconds * 1000))
        if not answer:
            self.catch_up()
            return
        for _, fields in answer[0][1]:
            entry = Entry(int(fields[b"id"]), fields[b"event"].decode(), orjson.loads(fields[b"data"]))
            if entry.previous > self.position:
                # Something is missing in Redis. The rows have it, and this entry too.
                self.catch_up()
            self._take(entry)
        self._save()

    def _take(self, entry: Entry) -> None:
        if entry.number <= self.position:
            return
        try:
            self._handle(entry)
        except RefusedError as error:
            letter = {"id": entry.number, "event": entry.event, "data": entry.data, "error": str(error)}
            with self._dead_letters.open("ab") as file:
                file.write(orjson.dumps(letter) + b"\n")
        self.position = entry.number

    def _save(self) -> None:
        """Replaced in one step: a file that is half written would lose the place."""
        new = self._file.with_suffix(".new")
        new.write_text(str(self.position))
        new.replace(self._file)
