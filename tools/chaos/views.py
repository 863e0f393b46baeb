"""What clients believe who know only what the streams tell them, and who read REST again when they are told to."""

import threading
import time
from abc import ABC, abstractmethod
from typing import Any

from tests.integration.stream.client import StreamClient, Told
from tests.support.live import Live, Trader
from tools.chaos.checks import all_orders

RECONNECT_AFTER_SECONDS = 0.2
# Its meaning over REST is another: the order's time priority, not the event's number.
NOT_COMPARED = {"sequence", "eventId", "lastTrade"}


class View(ABC):
    """A stream that is read in a thread of its own, and opened again with the last id whenever it ends."""

    def __init__(self) -> None:
        self.resets = 0
        self.reconnects = 0
        self.mistakes: list[str] = []
        self.lock = threading.Lock()
        self.is_open = threading.Event()
        self._last_event_id = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="view")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    @abstractmethod
    def open(self, last_event_id: str) -> StreamClient: ...

    @abstractmethod
    def hear(self, told: Told) -> None: ...

    @abstractmethod
    def differences(self) -> list[str]:
        """Where REST says otherwise."""

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._listen()
                self.reconnects += not self._stop.is_set()
                self._stop.wait(RECONNECT_AFTER_SECONDS)
        except Exception as error:
            self.mistakes.append(f"a stream's client ended: {error!r}")

    def _listen(self) -> None:
        try:
            with self.open(self._last_event_id) as stream:
                while not stream.ended and not self._stop.is_set():
                    told = stream.next(0.2)
                    if told is not None:
                        with self.lock:
                            self.hear(told)
                        self.is_open.set()
                    self._last_event_id = stream.last_event_id or self._last_event_id
        except OSError:
            # Refused or broken off: it is tried again.
            return


class OrdersView(View):
    """A user's orders. Of each only a later step is believed: events come at least once."""

    def __init__(self, live: Live, trader: Trader) -> None:
        super().__init__()
        self._live = live
        # A connection of its own: the trader's is busy placing orders.
        self.trader = Trader(Trader.http_client(live.url), trader.user_id, trader.username, trader.token)
        self.trader.http.headers["Authorization"] = f"Bearer {trader.token}"
        self.orders: dict[int, dict[str, Any]] = {}
        self.heard: set[str] = set()
        self._newest: dict[int, int] = {}

    def open(self, last_event_id: str) -> StreamClient:
        return self._live.stream(self.trader, last_event_id)

    def hear(self, told: Told) -> None:
        if told.type == "stream-reset":
            self.resets += 1
            self.orders = {order["orderId"]: order for order in all_orders(self.trader)}
        if told.type != "order-status-update":
            return
        event = told.data
        self.heard.add(event["eventId"])
        if event["sequence"] > self._newest.get(event["orderId"], 0):
            self._newest[event["orderId"]] = event["sequence"]
            self.orders[event["orderId"]] = event

    def differences(self) -> list[str]:
        """Orders that are PENDING are told of when they are matched."""
        stored = {order["orderId"]: order for order in all_orders(self.trader)}
        with self.lock:
            believed = dict(self.orders)
        found = [f"order {order_id} is told of, and not there" for order_id in believed.keys() - stored.keys()]
        for order_id, order in stored.items():
            view = believed.get(order_id)
            if view is None:
                found.append(f"order {order_id} is {order['status']}, and its stream said nothing of it")
            elif different := [name for name in order if name not in NOT_COMPARED and order[name] != view.get(name)]:
                says, said = ({name: side.get(name) for name in different} for side in (order, view))
                found.append(f"order {order_id} is {says}, its stream said {said}")
        return found

    def missed(self) -> list[str]:
        """Events of the timelines that never came, though the client was not told to read again."""
        if self.resets:
            return []
        told = set()
        for order in all_orders(self.trader):
            told |= {event["eventId"] for event in self.trader.get(f"/orders/{order['orderId']}/events")}
        return [f"event {event_id} was never told" for event_id in sorted(told - self.heard)]


class MarketView(View):
    """A market's book and tape, as anybody sees them."""

    def __init__(self, live: Live, symbol: str) -> None:
        super().__init__()
        self._live = live
        self._symbol = symbol
        self._http = Trader.http_client(live.url)
        self.depth: dict[str, Any] = {}
        self.trades: set[str] = set()
        self._from_sequence: int | None = None

    def open(self, last_event_id: str) -> StreamClient:
        # What is told from now on follows the first depth, and a connection that broke may have missed some.
        self._from_sequence = None
        return StreamClient(self._live.port, f"/api/v1/stream/market/{self._symbol}")

    def hear(self, told: Told) -> None:
        if told.type == "stream-reset":
            self.resets += 1
            self._from_sequence = None
        elif told.type == "trades":
            self.trades |= {trade["tradeId"] for trade in told.data}
        elif told.type == "depth":
            self._hear_depth(told.data)

    def _hear_depth(self, depth: dict[str, Any]) -> None:
        if self._from_sequence is None:
            self._from_sequence = depth["sequence"]
        elif depth["sequence"] < self.depth["sequence"]:
            self.mistakes.append(f"depth went back from {self.depth['sequence']} to {depth['sequence']}")
        self.depth = depth

    def differences(self) -> list[str]:
        book, tape = self._get(f"/orderbook/{self._symbol}?limit=20"), self._get(f"/trades/{self._symbol}?limit=500")
        with self.lock:
            depth, trades, since = self.depth, set(self.trades), self._from_sequence
        found = []
        if not depth or (depth["bids"], depth["asks"]) != (book["bids"], book["asks"]):
            found.append(f"the book is {book}, its stream said {depth}")
        if since is not None:
            missed = [trade["tradeId"] for trade in tape if trade["sequence"] > since]
            found += [f"trade {trade_id} was never told" for trade_id in missed if trade_id not in trades]
        return found

    def _get(self, path: str) -> Any:
        answer = self._http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


def wait_until_equal(view: View, deadline: float) -> tuple[float, list[str]]:
    """Compare with REST until there is no difference; when that was, or what is left of them at the deadline."""
    while True:
        differences = view.differences()
        now = time.monotonic()
        if not differences or now > deadline:
            return now, differences
        time.sleep(0.1)
