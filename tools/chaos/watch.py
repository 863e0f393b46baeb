"""How long matching stands still: the books' sequence numbers, read again and again over REST."""

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from statistics import median
from typing import Self

import httpx

from tools.chaos.exchange import SYMBOLS

EVERY_SECONDS = 0.1


@dataclass
class Outage:
    """From when on something was gone, and the first sequence that was read after that."""

    kind: str
    symbol: str
    since: float
    sequence: int | None = None


@dataclass
class Watch:
    """Reads in a thread of its own; `recoveries` are seconds by kind of outage."""

    url: str
    sequences: dict[str, int] = field(default_factory=dict)
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    dropped: int = 0

    def __post_init__(self) -> None:
        self._open: list[Outage] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def began(self, kind: str, *symbols: str) -> None:
        """From now on, until an order is matched that was not when this was called.

        What was still being measured for these markets would from here on measure this outage too, and is dropped.
        """
        affected = symbols or SYMBOLS
        with self._lock:
            self._drop(affected)
            self._open += [Outage(kind, symbol, time.monotonic()) for symbol in affected]

    def unmatched(self) -> list[str]:
        """The markets in which nothing was matched since the last outage began."""
        with self._lock:
            return [outage.symbol for outage in self._open]

    def forget_open(self) -> None:
        """Something was taken away without which nothing can be measured."""
        with self._lock:
            self._drop(SYMBOLS)

    def _drop(self, symbols: Collection[str]) -> None:
        kept = [outage for outage in self._open if outage.symbol not in symbols]
        self.dropped += len(self._open) - len(kept)
        self._open = kept

    def _run(self) -> None:
        with httpx.Client(base_url=f"{self.url}/api/v1", timeout=2, trust_env=False) as http:
            while not self._stop.wait(EVERY_SECONDS):
                for symbol in SYMBOLS:
                    self._look(http, symbol)

    def _look(self, http: httpx.Client, symbol: str) -> None:
        asked_at = time.monotonic()
        try:
            answer = http.get(f"/orderbook/{symbol}", params={"limit": 1})
        except httpx.TransportError:
            return
        if answer.status_code == httpx.codes.OK:
            self._heard(symbol, answer.json()["data"]["sequence"], asked_at, time.monotonic())

    def _heard(self, symbol: str, sequence: int, asked_at: float, heard_at: float) -> None:
        self.sequences[symbol] = sequence
        with self._lock:
            for outage in [outage for outage in self._open if outage.symbol == symbol]:
                if outage.sequence is None:
                    # Only what was asked after it began is sure to hold all that was matched before.
                    outage.sequence = sequence if asked_at > outage.since else None
                elif sequence > outage.sequence:
                    self.recoveries.setdefault(outage.kind, []).append(heard_at - outage.since)
                    self._open.remove(outage)


def in_words(seconds: list[float]) -> str:
    return f"median {median(seconds):.2f} s, worst {max(seconds):.2f} s, of {len(seconds)}"
