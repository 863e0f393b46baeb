"""The polite client: it trades all the time, within its limits, and notes how long everything took."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from statistics import quantiles
from typing import Any

import httpx

from tools.rig.events import ORDER_STATUS, Event, EventThread
from tools.rig.trader import Trader

# Of each account, between two rounds of four requests: none comes to ten requests in a second.
PAUSE_SECONDS = 0.6
EVENT_SECONDS = 10.0
REQUEST_SECONDS = 10.0
PRICE = 100


@dataclass
class Window:
    """What was measured in one stretch of time, calm or under siege."""

    requests: list[float] = field(default_factory=list)
    events: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: "Window") -> "Window":
        return Window(self.requests + other.requests, self.events + other.events, self.errors + other.errors)

    @property
    def asked(self) -> int:
        return len(self.requests) + self.errors.total()


def cuts(seconds: list[float]) -> tuple[float, float]:
    """Median and 99th percentile, in milliseconds."""
    if len(seconds) < 2:
        return 0.0, 0.0
    at = quantiles(seconds, n=100, method="inclusive")
    return at[49] * 1000, at[98] * 1000


class Account:
    """One account of the polite client, in a thread of its own, with a stream of its own orders."""

    def __init__(self, trader: Trader, symbol: str, seed: int, note: Callable[[], Window]) -> None:
        self._trader, self._symbol, self._note = trader, symbol, note
        self._random = Random(seed)
        self._events: dict[int, threading.Event] = {}
        self._seen: set[int] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"polite-{trader.username}")
        self._stream = EventThread(
            str(trader.http.base_url).partition("/api/")[0], ORDER_STATUS, self._receive, token=trader.token
        )
        self.is_listening = threading.Event()
        trader.http.timeout = httpx.Timeout(REQUEST_SECONDS)

    def start(self) -> None:
        self._stream.__enter__()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._stream.__exit__()

    def _run(self) -> None:
        while not self._stop.is_set():
            # At one price, so that the orders of one account meet those of another; then one that meets nobody.
            side = self._random.choice(("BUY", "SELL"))
            self._trade(side, PRICE, is_cancelled=False)
            self._trade(side, PRICE // 2 if side == "BUY" else PRICE * 2, is_cancelled=True)
            self._stop.wait(self._random.uniform(0.9, 1.1) * PAUSE_SECONDS)

    def _trade(self, side: str, price: int, *, is_cancelled: bool) -> None:
        """Place an order, wait for its event, read it, and take it back."""
        order = {"symbol": self._symbol, "side": side, "type": "LIMIT", "price": f"{price}.00", "quantity": "0.0100"}
        began, window = time.monotonic(), self._note()
        answer = self._ask("POST", "/orders", order, (202,))
        if answer is None:
            return
        order_id = answer["orderId"]
        self._wait_for_event(order_id, began, window)
        self._ask("GET", f"/orders/{order_id}", None, (200,))
        if is_cancelled:
            self._ask("DELETE", f"/orders/{order_id}", None, (202, 409))

    def _ask(self, method: str, path: str, body: Any, expected: tuple[int, ...]) -> Any:
        """The data of the answer; None if it was not what the contract says."""
        began, window = time.monotonic(), self._note()
        try:
            answer = self._trader.call(method, path, body)
        except httpx.TransportError as error:
            window.errors[f"{method} {type(error).__name__}"] += 1
            return None
        took = time.monotonic() - began
        if answer.status_code not in expected:
            code = answer.json().get("error", "") if answer.headers.get("content-type") == "application/json" else ""
            window.errors[f"{method} {answer.status_code} {code}"] += 1
            return None
        window.requests.append(took)
        return answer.json()["data"]

    def _wait_for_event(self, order_id: int, began: float, window: Window) -> None:
        with self._lock:
            arrived = self._events.setdefault(order_id, threading.Event())
            if order_id in self._seen:
                arrived.set()
        if arrived.wait(EVENT_SECONDS):
            window.events.append(time.monotonic() - began)
        else:
            window.errors["no event of an order"] += 1
        with self._lock:
            del self._events[order_id]
            self._seen.discard(order_id)

    def _receive(self, event: Event) -> None:
        if event.kind == "connected":
            self.is_listening.set()
        elif event.kind == "refused":
            self._note().errors[f"stream {event.data}"] += 1
        elif event.kind == "order-status-update":
            with self._lock:
                order_id = event.data["orderId"]
                self._seen.add(order_id)
                if order_id in self._events:
                    self._events[order_id].set()


class PoliteClient:
    """All accounts, within the `with`. What they note goes into the window that is open."""

    def __init__(self, traders: list[Trader], symbol: str, seed: int) -> None:
        self._window = Window()
        self._accounts = [Account(trader, symbol, seed + at, lambda: self._window) for at, trader in enumerate(traders)]

    def __enter__(self) -> "PoliteClient":
        for account in self._accounts:
            account.start()
        for account in self._accounts:
            assert account.is_listening.wait(EVENT_SECONDS * 4), "a stream of the polite client was not opened"
        return self

    def __exit__(self, *_: object) -> None:
        for account in self._accounts:
            account.stop()

    def measure(self, seconds: float) -> Window:
        """What is noted from now on, for so long."""
        self._window = window = Window()
        time.sleep(seconds)
        # What began in it is noted in it, however late it ends.
        self._window = Window()
        return window
