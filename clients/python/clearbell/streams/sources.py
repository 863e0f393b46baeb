"""What is read from a stream, and how what was missed is read by REST: own orders, and a market."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from ..answers.market import Depth, Ticker, Trade
from ..answers.orders import Fill, LastTrade, Order
from ..answers.reading import read_as
from ..calls import market, orders
from ..calls.call import PREFIX, Call, Page, T, following_page, part
from ..conversation import Conversations
from ..errors import NoAnswer, NotFound, TooMany, Unavailable
from ..retry import Cut, uneven
from ..steps import Deliver, Pause, Steps
from .events import DepthUpdate, Gap, MarketReset, Opened, OrderUpdate, TickerUpdate, TradesUpdate
from .memory import KnownOrders, Recent

RESET = "stream-reset"
# An order may have been placed so long before its first event.
MARGIN = timedelta(minutes=1)
PAGE = 500
# Beyond this a gap is history, and the reader's own matter: the update says so.
MOST_PAGES = 20
REREAD_SECONDS = 2.0


class Source(Protocol):
    """One thing that is followed. Its answers are steps, because what is missing is read by REST."""

    target: str
    is_private: bool

    @property
    def channels(self) -> tuple[str, ...]: ...

    # Sent to the exchange, to go on from there.
    position: str

    def opened(self) -> Steps[None]: ...

    def take(self, event: str, id_: str, data: Any) -> Steps[None]: ...


class OwnOrders:
    """The caller's own orders: each event once, and what was missed beyond what the exchange sends again."""

    target = f"{PREFIX}/stream/order-status"
    is_private = True
    channels = ("orders",)

    def __init__(self, talk: Conversations, position: str = "") -> None:
        self._talk = talk
        self.position = position
        self._knows_open = bool(position)
        self._orders = KnownOrders()
        self._events, self._fills = Recent(), Recent()
        self._since: datetime | None = None
        # By market the number up to which REST has answered everything.
        self._as_of: Mapping[str, int] = {}

    def opened(self) -> Steps[None]:
        """At first the orders that are open, so that no later gap hides how one of them ended."""
        if self._knows_open:
            yield Deliver(Opened())
            if not self.position:
                # It was cut before it brought a position, so the exchange sends nothing again.
                yield Deliver((yield from self._gap("NO_POSITION")))
            return
        found, self._as_of = yield from _patiently(self._talk, orders.orders(active=True, limit=PAGE))
        for order in found:
            self._note(order)
        self._knows_open = True
        yield Deliver(Opened(tuple(found)))

    def take(self, event: str, id_: str, data: Any) -> Steps[None]:
        if id_ or event == RESET:
            self.position = id_
        if event == RESET:
            yield Deliver((yield from self._gap(str(data.get("reason")))))
        if event != "order-status-update" or not self._events.add(data["eventId"]):
            return
        symbol, sequence = data["symbol"], data["sequence"]
        if sequence <= self._as_of.get(symbol, -1):
            return
        order = read_as(Order, data)
        self._note(order)
        last = data.get("lastTrade")
        is_new = last is not None and self._fills.add((last["tradeId"], order.order_id))
        yield Deliver(OrderUpdate(order, data["eventId"], sequence, read_as(LastTrade, last) if is_new else None))

    def _note(self, order: Order) -> bool:
        if self._since is None or order.updated_at > self._since:
            self._since = order.updated_at
        return self._orders.update(order)

    def _gap(self, reason: str) -> Steps[Gap]:
        since = self._since - MARGIN if self._since is not None else None
        self._events.forget()
        known = list(self._orders.open_ids())
        found, self._as_of = yield from _patiently(self._talk, orders.orders(active=True, limit=PAGE))
        fills: list[Fill] = []
        if since is not None:
            recent, _ = yield from _patiently(self._talk, orders.orders(start_time=since, limit=PAGE))
            fills, _ = yield from _patiently(self._talk, orders.fills(start_time=since, limit=PAGE))
            found += recent
        seen = {order.order_id for order in found}
        for order_id in known:
            if order_id not in seen:
                found += yield from self._one(order_id)
        changed = {order.order_id: order for order in found if self._note(order)}
        new = [fill for fill in reversed(fills) if self._fills.add((fill.trade_id, fill.order_id))]
        return Gap(reason, tuple(changed.values()), tuple(new), since)

    def _one(self, order_id: int) -> Steps[list[Order]]:
        try:
            return [(yield from until_answered(self._talk, orders.order(order_id)))]
        except NotFound:
            # The database lost its commit.
            return []


class OneMarket:
    """A market's depth, trades and ticker: each trade once, and those that were missed."""

    is_private = False
    position = ""

    def __init__(self, talk: Conversations, symbol: str) -> None:
        self._talk = talk
        self.symbol = symbol
        self.target = f"{PREFIX}/stream/market/{part(symbol)}"
        self.channels = (f"depth:{symbol}", f"trades:{symbol}", f"ticker:{symbol}")
        # The number of the last trade that was delivered, or that was before; None before it was asked for.
        self._last: int | None = None

    def opened(self) -> Steps[None]:
        if self._last is None:
            newest = yield from until_answered(self._talk, market.trades(self.symbol, limit=1))
            self._last = newest[0].sequence if newest else -1
            yield Deliver(Opened())
            return
        yield Deliver(Opened())
        yield from self._missed()

    def take(self, event: str, id_: str, data: Any) -> Steps[None]:
        if event == "depth":
            yield Deliver(DepthUpdate(read_as(Depth, data)))
        elif event == "ticker":
            yield Deliver(TickerUpdate(read_as(Ticker, data)))
        elif event == "trades":
            yield from self._deliver([read_as(Trade, each) for each in data])
        elif event == RESET:
            yield Deliver(MarketReset(self.symbol))
            yield from self._missed()

    def _missed(self) -> Steps[None]:
        """The trades after the last that was delivered."""
        last = -1 if self._last is None else self._last
        call: Call[Page[Trade]] | None = market.trades(self.symbol, limit=PAGE)
        found: list[Trade] = []
        for _ in range(MOST_PAGES):
            if call is None:
                break
            page = yield from until_answered(self._talk, call)
            if not found and page and page[0].sequence < last:
                # Another database took over, which lacks what was delivered.
                last = page[0].sequence
            found += page
            call = following_page(call, page) if page and page[-1].sequence > last else None
        self._last = last
        yield from self._deliver(list(reversed(found)), was_missed=True, is_complete=call is None)

    def _deliver(self, trades: list[Trade], *, was_missed: bool = False, is_complete: bool = True) -> Steps[None]:
        new = tuple(trade for trade in trades if self._last is None or trade.sequence > self._last)
        if new:
            self._last = new[-1].sequence
            yield Deliver(TradesUpdate(self.symbol, new, was_missed, is_complete))


def until_answered(talk: Conversations, call: Call[T]) -> Steps[T]:
    """The answer, however long the exchange is away: until then the reader would take for true what is not any more."""
    while True:
        try:
            return (yield from talk.answer(call))
        except (NoAnswer, TooMany, Unavailable, Cut):
            yield Pause(uneven(REREAD_SECONDS))


def _patiently(talk: Conversations, call: Call[Page[T]]) -> Steps[tuple[list[T], Mapping[str, int]]]:
    """All pages of a list, and what the first of them certainly includes: so do the others."""
    found: list[T] = []
    as_of: Mapping[str, int] | None = None
    following: Call[Page[T]] | None = call
    while following is not None:
        page = yield from until_answered(talk, following)
        found += page
        as_of = page.as_of if as_of is None else as_of
        following = following_page(following, page)
    return found, as_of or {}
