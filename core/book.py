"""The order book of one market: price-time priority, one command at a time.

Contract
- Orders rest in two ladders, best price first and, at one price, the smallest `sequence` first. A trade happens at the
  resting order's price. A book is never crossed between commands, unless its market is not trading (see auction).
- Stops wait beside the ladders, in `stops`, until `cascade` triggers them.
- Of two orders with one `group_id` one cancels the other. The limit leg has that id, rests, and has frozen what the
  dearer leg needs; the stop leg waits, and has nothing frozen.
- `cancel`, `cancel_first`, `refuse` and `taker.place` change the book and its orders, and return everything that
  changed as an Outcome of events and trades. The caller stores the outcome in one transaction, or throws the whole book
  away, because a change cannot be undone.
- Every event takes the market's next sequence number, without gaps. An order's own sequence is that of its first
  event, and is its time priority. A trade carries the sequence of its taker's fill event.
- The taker's way through the book, with fees and self-trade prevention, is in `taker`.
- An order's terms never change: `amend` makes a new order with others, in the place of the one that rests. What
  self-trade prevention takes off orders is in `prevention`, the tips of icebergs are in `ladder`.

Known limitations: only orders with a price rest (no pegs).
"""

from collections.abc import Iterable
from functools import partial
from operator import attrgetter

from core.kinds import owed
from core.ladder import DepthLevel, Ladder, StoredLevel
from core.outcome import Event, Outcome, Trade, terms_of
from core.stops import Stops
from core.store import LevelSums, OrderStore
from core.types import Order, Phase, Reason, Rules, Side, Status

# Under names of this module, because Python 3.11 takes long to find a member of an enumeration.
_RESTING, _CLOSED = Phase.RESTING, Phase.CLOSED
_PARTIALLY_FILLED, _FILLED = Status.PARTIALLY_FILLED, Status.FILLED


class Book:
    """The resting orders of one market, the number of its next event, and the price of its last trade.

    `orders` has no orders of levels that are still stored elsewhere; the ladders go through all of them.
    """

    def __init__(
        self,
        rules: Rules,
        next_sequence: int = 1,
        resting: Iterable[Order] = (),
        last_price: int | None = None,
        store: OrderStore | None = None,
        may_cross: bool = False,
    ) -> None:
        """Rebuild a book from its resting orders, in any order. O(n log n).

        Raises ValueError if they are crossed, unless they may be.

        With a `store` of resting orders O(its levels): each level is read when it is needed.
        """
        self.rules = rules
        self.next_sequence = next_sequence
        self.last_price = last_price
        # In a call auction orders rest without trading. The book may be crossed then, and until the market trades.
        self.collects = False
        self.may_cross = may_cross
        self.ladders = {side: Ladder(side) for side in Side}
        self.opposite = {side: self.ladders[side.opposite] for side in Side}
        self.orders: dict[int, Order] = {}
        self.stops = Stops()
        self.store = store
        if store is not None:
            self._stock(store)
        for order in sorted(resting, key=attrgetter("place")):
            self.rest(order)
        self._refuse_crossed()

    def bring_forward(self, changed: Iterable[int], resting: Iterable[Order]) -> None:
        """Put orders in the place of their stored selves. `changed` are their ids, `resting` those of them that rest.

        Raises ValueError if the book is crossed then.
        """
        for order_id in changed:
            order = self.find(order_id)
            if order is not None:
                self.unrest(order)
        places = set()
        for order in sorted(resting, key=attrgetter("place")):
            assert order.price is not None
            self.rest(order)
            places.add((order.side, order.price))
        for side, price in places:
            self.ladders[side].sort(price)
        self._refuse_crossed()

    def find(self, order_id: int) -> Order | None:
        """The resting order of this id, also if its level was not read yet."""
        order = self.orders.get(order_id)
        if order is None and self.store is not None:
            found = self.store.find(order_id)
            if found is not None:
                ladder = self.ladders[found.side]
                level = ladder.levels.get(ladder.sign * found.price)
                if type(level) is StoredLevel:
                    # To ask for them reads them.
                    order = level.orders.get(order_id)
        return order

    def take_out(self, order_id: int) -> Order | None:
        """Take an order out that rests or waits. The caller closes it, or puts it back."""
        order = self.find(order_id)
        if order is not None:
            self.unrest(order)
        elif (order := self.stops.orders.get(order_id)) is not None:
            self.stops.remove(order)
        return order

    def cancel(self, order_id: int, reason: Reason = Reason.USER_CANCELLED) -> Outcome:
        """Take an order out that rests or waits. The outcome is empty if it does neither any more. O(1)."""
        order = self.take_out(order_id)
        return Outcome([] if order is None else self.close(order, Status.CANCELLED, reason), [])

    def cancel_first(self, most: int, reason: Reason) -> Outcome:
        """Take at least so many orders out, if there are: bids before asks, each in the order in which they would
        trade, then those that wait, the oldest first.

        The outcome is unfinished while orders are left. O(most x log levels).
        """
        events: list[Event] = []
        for ladder in self.ladders.values():
            while len(events) < most and (order := ladder.met_by(None)) is not None:
                self.unrest(order)
                events += self.close(order, Status.CANCELLED, reason)
        while len(events) < most and self.stops.orders:
            order = next(iter(self.stops.orders.values()))
            self.stops.remove(order)
            events += self.close(order, Status.CANCELLED, reason)
        is_empty = not self.stops.orders and all(ladder.first is None for ladder in self.ladders.values())
        return Outcome(events, [], finished=is_empty)

    def refuse(self, order: Order, status: Status, reason: Reason) -> Outcome:
        """Close an order that is not in the book, and release its frozen funds. O(1)."""
        assert order.id not in self.orders
        return Outcome(self.close(order, status, reason), [])

    def best_price(self, side: Side) -> int | None:
        return self.ladders[side].best_price()

    def depth(self, side: Side, limit: int) -> list[DepthLevel]:
        return self.ladders[side].depth(limit)

    def is_crossed(self) -> bool:
        bid, ask = self.best_price(Side.BUY), self.best_price(Side.SELL)
        return bid is not None and ask is not None and bid >= ask

    def check(self) -> None:
        """Assert every invariant of the book. O(orders)."""
        for ladder in self.ladders.values():
            ladder.check()
        self.stops.check()
        assert self.may_cross or not self.is_crossed(), (self.best_price(Side.BUY), self.best_price(Side.SELL))
        assert sum(1 for ladder in self.ladders.values() for _ in ladder) == len(self.orders)

    def rest(self, order: Order) -> None:
        order.phase = _RESTING
        self.ladders[order.side].add(order)
        self.orders[order.id] = order

    def unrest(self, order: Order) -> None:
        self.ladders[order.side].remove(order)
        del self.orders[order.id]

    def fill_resting(self, order: Order, trade: Trade) -> Event:
        """Fill a resting order by this trade, and make its event. One that has nothing left leaves the book.

        An iceberg whose tip is used up has its next tip with the event, and the place that comes with it.
        """
        if order.filled + trade.quantity == order.quantity:
            self.unrest(order)
            return self.fill(order, trade)
        ladder = self.ladders[order.side]
        ladder.reduce(order, trade.quantity)
        event = self.fill(order, trade)
        if order.tip == 0:
            ladder.refill(order, event.sequence)
        return event

    def fill(self, order: Order, trade: Trade) -> Event:
        """Fill an order and make its event. One of which self-trade prevention took a part does not end as FILLED."""
        order.filled += trade.quantity
        order.filled_notional += trade.notional
        status = _PARTIALLY_FILLED
        if order.filled == order.quantity:
            order.phase, status = _CLOSED, _FILLED
            if order.prevented:
                status, order.reason = Status.CANCELLED, Reason.SELF_TRADE
        return self.event(order, status, trade)

    def put_in_place(self, order: Order, changed: Order) -> None:
        """Let the changed order rest or wait where the order does."""
        if order.id in self.stops.orders:
            self.stops.put_in_place(order, changed)
        else:
            self.ladders[order.side].put_in_place(order, changed)
            self.orders[order.id] = changed

    def close(self, order: Order, status: Status, reason: Reason | None) -> list[Event]:
        """Close an order that was taken out, and the other one of its group right behind it."""
        events = [self.close_alone(order, status, reason)]
        if order.group_id is not None:
            events += self.end_group(order, Reason.USER_CANCELLED if reason is Reason.USER_CANCELLED else Reason.OCO)
        return events

    def close_alone(self, order: Order, status: Status, reason: Reason | None) -> Event:
        """Close an order that was taken out, and leave the other one of its group to the caller."""
        order.phase = _CLOSED
        order.reason = reason
        return self.event(order, status)

    def end_group(self, order: Order, reason: Reason = Reason.OCO) -> list[Event]:
        """Cancel the other order of a group whose one was filled or closed. What both had frozen for it is released."""
        stop = self.stops.legs.get(order.group_id or 0)
        if stop is None:
            return []
        other = self.leave_group(stop) if order is stop else stop
        if other is stop:
            del self.stops.legs[order.group_id or 0]
            self.stops.remove(stop)
            if order.active:
                needed = owed(order, self.rules.quote_step)
                stop.frozen, order.frozen = order.frozen - needed, needed
        return [] if other is None else [self.close_alone(other, Status.CANCELLED, reason)]

    def other_leg(self, order: Order) -> Order | None:
        """The other order of its group, while both are open. O(1)."""
        stop = self.stops.legs.get(order.group_id or 0)
        if stop is None:
            return None
        return self.find(order.group_id or 0) if order is stop else stop

    def leave_group(self, stop: Order) -> Order | None:
        """Take the limit leg of a stop's group out of the book, if the group is still one. The caller closes it."""
        if stop.group_id is None or self.stops.legs.pop(stop.group_id, None) is None:
            return None
        limit = self.find(stop.group_id)
        if limit is not None:
            self.unrest(limit)
        return limit

    def _stock(self, store: OrderStore) -> None:
        for side, ladder in self.ladders.items():
            levels = [level for level in store.levels() if level.side is side]
            ladder.stock(
                StoredLevel(
                    ladder.sign * level.price,
                    level.quantity,
                    level.hidden,
                    level.order_count,
                    partial(self._read, store, level),
                )
                for level in levels
            )

    def _read(self, store: OrderStore, level: LevelSums) -> list[Order]:
        orders = list(store.read(level))
        for order in orders:
            order.phase = _RESTING
            self.orders[order.id] = order
        return orders

    def _refuse_crossed(self) -> None:
        if self.is_crossed() and not self.may_cross:
            raise ValueError(f"crossed: best bid {self.best_price(Side.BUY)} >= best ask {self.best_price(Side.SELL)}")

    def event(
        self,
        order: Order,
        status: Status,
        trade: Trade | None = None,
        reason: Reason | None = None,
        released: int = 0,
    ) -> Event:
        """Make the order's next event, with the next sequence. A closed order's frozen funds are released with it.

        `reason` is the event's alone, where it is not the order's; `released` is what the caller has taken off the
        frozen funds, because the order does not need it any more.
        """
        sequence = self.next_sequence
        self.next_sequence += 1
        if order.sequence is None:
            order.sequence = sequence
        previous, order.status = order.status, status
        active = order.phase is not _CLOSED
        if not active:
            released, order.frozen = released + order.frozen, 0
        filled, terms = order.filled, terms_of(order) if order.is_extended else None
        reason = reason or order.reason
        notional = order.filled_notional
        return Event(sequence, order, status, reason, active, filled, notional, released, trade, previous, terms)
