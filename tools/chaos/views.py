"""What clients believe who know only what the streams sent, and who read REST again when a stream was reset."""

import threading
import time
from abc import abstractmethod
from typing import Any

import httpx

from tools.chaos.checks import all_orders
from tools.rig.events import OPEN, ORDER_STATUS, REFUSED, RESET, Event, EventThread
from tools.rig.trader import Trader, connect

# Its meaning over REST is another: the order's time priority, not the event's number.
NOT_COMPARED = {"sequence", "eventId", "lastTrade"}
# Reasons that an event has alone, and its order not; where an amend is refused the order stays as it was.
OF_EVENTS = {"AMENDED", "AMEND_REFUSED", "TRIGGERED", "SELF_TRADE"}


class View(EventThread):
    """A stream, and what its client believes."""

    def __init__(self, url: str, path: str, token: str = "") -> None:
        super().__init__(url, path, self._handle_event, token=token)
        self.resets = 0
        self.mistakes: list[str] = []
        self.lock = threading.Lock()
        self.has_begun = threading.Event()

    def _handle_event(self, event: Event) -> None:
        self.resets += event.kind == RESET
        with self.lock:
            self.receive(event)
        if event.kind not in (OPEN, REFUSED):
            self.has_begun.set()

    @abstractmethod
    def receive(self, event: Event) -> None: ...

    @abstractmethod
    def differences(self) -> list[str]:
        """Where REST differs."""


class OrdersView(View):
    """A user's orders. Of each only a later step is believed: events come at least once."""

    def __init__(self, url: str, trader: Trader) -> None:
        super().__init__(url, ORDER_STATUS, trader.token)
        # A connection of its own: the trader's is busy placing orders.
        self.trader = Trader.with_token(url, trader.user_id, trader.username, trader.token)
        self.orders: dict[int, dict[str, Any]] = {}
        self.received: set[str] = set()
        self._newest: dict[int, int] = {}

    def receive(self, event: Event) -> None:
        if event.kind == RESET:
            # Also the numbers: after a failover they may be smaller.
            self._newest.clear()
            self.orders = {order["orderId"]: order for order in all_orders(self.trader)}
        elif event.kind == "order-status-update":
            order = event.data
            self.received.add(order["eventId"])
            if order["sequence"] > self._newest.get(order["orderId"], 0):
                self._newest[order["orderId"]] = order["sequence"]
                self.orders[order["orderId"]] = order

    def differences(self) -> list[str]:
        """An order that is PENDING has its first event when it is matched."""
        stored = {order["orderId"]: order for order in all_orders(self.trader)}
        with self.lock:
            believed = dict(self.orders)
        found = [f"order {order_id} was sent, and does not exist" for order_id in believed.keys() - stored.keys()]
        for order_id, order in stored.items():
            view = believed.get(order_id)
            if view is None:
                found.append(f"order {order_id} is {order['status']}, and its stream sent nothing of it")
            elif different := _different(order, view):
                stored_part, sent_part = ({name: side.get(name) for name in different} for side in (order, view))
                found.append(f"order {order_id} is {stored_part}, its stream sent {sent_part}")
        return found

    def missed(self) -> list[str]:
        """Events of the timelines that never came, though the stream was not reset."""
        if self.resets:
            return []
        stored = set()
        for order in all_orders(self.trader):
            stored |= {event["eventId"] for event in self.trader.get(f"/orders/{order['orderId']}/events")}
        return [f"event {event_id} was never sent" for event_id in sorted(stored - self.received)]


def _different(order: dict[str, Any], view: dict[str, Any]) -> list[str]:
    """The fields in which what was sent last of an order is not the order."""
    left_out = set(NOT_COMPARED)
    if view["reason"] in OF_EVENTS and order["active"]:
        left_out.add("reason")
    if view["reason"] == "AMEND_REFUSED":
        left_out |= {"reason", "updatedAt"}
    return [name for name in order if name not in left_out and order[name] != view.get(name)]


class MarketView(View):
    """A market's book and tape, as anybody sees them."""

    def __init__(self, url: str, symbol: str) -> None:
        super().__init__(url, f"/api/v1/stream/market/{symbol}")
        self._symbol = symbol
        self._http = connect(url)
        self.depth: dict[str, Any] = {}
        self.trades: set[str] = set()
        # All trades after the first depth are sent; a connection that broke, or was reset, may have missed some.
        self._from_sequence: int | None = None

    def receive(self, event: Event) -> None:
        if event.kind in (OPEN, RESET):
            self._from_sequence = None
        elif event.kind == "trades":
            self.trades |= {trade["tradeId"] for trade in event.data}
        elif event.kind == "depth":
            self._receive_depth(event.data)

    def _receive_depth(self, depth: dict[str, Any]) -> None:
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
            found.append(f"the book is {book}, its stream sent {depth}")
        if since is not None:
            missed = [trade["tradeId"] for trade in tape if trade["sequence"] > since]
            found += [f"trade {trade_id} was never sent" for trade_id in missed if trade_id not in trades]
        return found

    def _get(self, path: str) -> Any:
        answer = self._http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


def wait_until_equal(view: View, deadline: float) -> tuple[float, list[str]]:
    """Compare with REST until there is no difference; when that was, or what is left of them at the deadline."""
    while True:
        try:
            differences = view.differences()
        except (httpx.TransportError, AssertionError) as error:
            differences = [f"REST does not answer: {error!r}"]
        now = time.monotonic()
        if not differences or now > deadline:
            return now, differences
        time.sleep(0.1)
