"""An operator beside the trading: now and then one market collects orders, and then opens at one price."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import httpx

from tools.chaos.exchange import SYMBOLS, Exchange

# Between two auctions, and how long one takes.
PAUSE_SECONDS, OPEN_SECONDS = 20.0, 2.0
PAUSE_BEFORE_REPEAT_SECONDS = 0.3


class Operator:
    """Sets trading statuses until it is stopped, and asks until each is accepted: all markets trade at the end."""

    def __init__(self, exchange: Exchange, seed: int) -> None:
        self.exchange = exchange
        self.random = Random(f"{seed}-auctions")
        self.counts: Counter[str] = Counter()
        self.mistakes: list[str] = []
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(self.random.uniform(0.5, 1.5) * PAUSE_SECONDS):
            symbol = self.random.choice(SYMBOLS)
            self._set(symbol, "AUCTION")
            self.stop.wait(OPEN_SECONDS)
            self._set(symbol, "TRADING")
            self.counts["auctions"] += 1

    def _set(self, symbol: str, status: str) -> None:
        while True:
            try:
                answer = self.exchange.staff.call("PATCH", f"/markets/{symbol}", {"status": status})
                if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                    if answer.status_code != httpx.codes.OK:
                        self.mistakes.append(f"{symbol} to {status}: {answer.status_code} {answer.text}")
                    return
            except (httpx.TransportError, AssertionError):
                # Not even signed in: web or its database is away.
                pass
            time.sleep(PAUSE_BEFORE_REPEAT_SECONDS)


@contextmanager
def auctions(exchange: Exchange, seed: int) -> Iterator[Operator]:
    """An operator at work within the `with`."""
    operator = Operator(exchange, seed)
    thread = threading.Thread(target=operator.run, name="operator")
    thread.start()
    try:
        yield operator
    finally:
        operator.stop.set()
        thread.join()
