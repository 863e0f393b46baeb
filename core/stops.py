"""The waiting stops of one market: which of them the last price reaches, in the order in which they become due.

Contract
- A stop triggers upward (at or above its stop price: BUY STOP, SELL TAKE_PROFIT, BUY TRAILING_STOP) or downward (at
  or below it). Those that trigger upward become due first, by rising stop price, then the others by falling stop
  price, and at one price the oldest first, by `sequence`.
- Whether any of them is due is known in O(1), because it is asked after each command. To add, to take out, and to find
  the next one that is due takes O(log stops).
- The stop price of a TRAILING_STOP is its extreme with its offset: see `trailing`.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from sortedcontainers import SortedDict

from core.kinds import KINDS
from core.money import MAX_UNITS
from core.trailing import Entry, Trail, TrailChange, trailing_stop_price
from core.types import Order, OrderType, Phase, Side

_TRAILING = OrderType.TRAILING_STOP
# Prices that no trade has.
_ABOVE_ALL, _BELOW_ALL = MAX_UNITS + 1, -1


class Stops:
    """All waiting stops. `orders` has them by id, the oldest first."""

    __slots__ = ("_above", "_below", "_down", "_is_stale", "_up", "legs", "orders", "trails")

    def __init__(self) -> None:
        # An OrderedDict, because a plain dict steps over all removed entries each time its first one is asked for.
        self.orders: OrderedDict[int, Order] = OrderedDict()
        # Of each group of two orders of which one cancels the other: the leg that waits.
        self.legs: dict[int, Order] = {}
        self.trails = {side: Trail(side) for side in Side}
        # Those with a stop price of their own, by (price, sequence), and by (-price, sequence).
        self._up: SortedDict[tuple[int, int], Order] = SortedDict()
        self._down: SortedDict[tuple[int, int], Order] = SortedDict()
        # The nearest stop prices above and below, unless they are stale.
        self._above, self._below, self._is_stale = _ABOVE_ALL, _BELOW_ALL, False

    def load(self, orders: Iterable[Order], trails: Mapping[Side, Iterable[Entry]]) -> None:
        """Take in the stored stops of a market, by rising sequence, with the stored entries of its trails."""
        for side, entries in trails.items():
            self.trails[side].load(entries)
        waiting = list(orders)
        for order in waiting:
            self._enter(order)
            if order.type is _TRAILING:
                self.trails[order.side].put_back(order)
        for is_upward, queue in ((True, self._up), (False, self._down)):
            fixed = (order for order in waiting if order.type is not _TRAILING and triggers_upward(order) is is_upward)
            # All at once, which is many times faster.
            queue.update((_key(order, is_upward), order) for order in fixed)
        for trail in self.trails.values():
            trail.drop_empty()
        self._is_stale = True

    def add(self, order: Order, last_price: int | None) -> None:
        """Let an order wait that has its sequence. A TRAILING_STOP begins at the last price."""
        self._enter(order)
        if order.type is _TRAILING:
            self.trails[order.side].add(order, last_price)
        else:
            is_upward = triggers_upward(order)
            (self._up if is_upward else self._down)[_key(order, is_upward)] = order
        self._is_stale = True

    def remove(self, order: Order) -> None:
        """Take an order out. A TRAILING_STOP keeps the stop price that it has come to."""
        order.stop_price = self.stop_price(order)
        del self.orders[order.id]
        if order.type is _TRAILING:
            self.trails[order.side].remove(order)
        else:
            is_upward = triggers_upward(order)
            del (self._up if is_upward else self._down)[_key(order, is_upward)]
        self._is_stale = True

    def put_in_place(self, order: Order, changed: Order) -> None:
        """Let the changed order wait where the order does, by its new stop price. Its offset is the same."""
        changed.phase = Phase.WAITING
        self.orders[order.id] = changed
        if order.group_id is not None:
            self.legs[order.group_id] = changed
        if order.type is _TRAILING:
            self.trails[order.side].put_in_place(changed)
            changed.stop_price = self.stop_price(changed)
        else:
            is_upward = triggers_upward(order)
            queue = self._up if is_upward else self._down
            del queue[_key(order, is_upward)]
            queue[_key(changed, is_upward)] = changed
        self._is_stale = True

    def stop_price(self, order: Order) -> int | None:
        """Where a waiting order's stop price stands now. None: of a TRAILING_STOP that no price can trigger."""
        if order.type is not _TRAILING:
            return order.stop_price
        assert order.trailing_offset is not None
        return trailing_stop_price(order.side, self.trails[order.side].extreme(order), order.trailing_offset)

    def follow(self, last_price: int) -> None:
        """Let the TRAILING_STOPs follow the last price, after a command that traded."""
        for trail in self.trails.values():
            if trail.groups and trail.follow(last_price):
                self._is_stale = True

    def is_due(self, last_price: int | None) -> bool:
        """Whether the last price reaches a stop."""
        if self._is_stale:
            self._find_nearest()
        return last_price is not None and (last_price >= self._above or last_price <= self._below)

    def next_due(self, last_price: int) -> Order | None:
        """The stop that becomes due next, which still waits. O(log stops)."""
        for queue, trail, sign in (
            (self._up, self.trails[Side.BUY], 1),
            (self._down, self.trails[Side.SELL], -1),
        ):
            first = min(filter(None, (_first(queue), trail.first())), key=_first_key, default=None)
            if first is not None and first[0][0] <= sign * last_price:
                return first[1]
        return None

    def take_changes(self) -> list[TrailChange]:
        """What has changed of the stored trails since this was asked before."""
        return [change for trail in self.trails.values() if (change := trail.take_change()) is not None]

    def check(self) -> None:
        """Assert every invariant. O(stops)."""
        trailing = sum(trail.check() for trail in self.trails.values())
        assert len(self._up) + len(self._down) + trailing == len(self.orders)
        for is_upward, queue in ((True, self._up), (False, self._down)):
            for key, order in queue.items():
                assert key == _key(order, is_upward) and self.orders[order.id] is order, order
        for order in self.orders.values():
            assert order.phase is Phase.WAITING, order
            assert order.group_id is None or self.legs[order.group_id] is order, order
        sequences = [order.sequence or 0 for order in self.orders.values()]
        assert sequences == sorted(sequences)

    def _enter(self, order: Order) -> None:
        order.phase = Phase.WAITING
        self.orders[order.id] = order
        if order.group_id is not None:
            self.legs[order.group_id] = order

    def _find_nearest(self) -> None:
        above = min(filter(None, (_first(self._up), self.trails[Side.BUY].first())), key=_first_key, default=None)
        below = min(filter(None, (_first(self._down), self.trails[Side.SELL].first())), key=_first_key, default=None)
        self._above = _ABOVE_ALL if above is None else above[0][0]
        self._below = _BELOW_ALL if below is None else -below[0][0]
        self._is_stale = False


def triggers_upward(order: Order) -> bool:
    """Whether it is triggered by a last price at or above its stop price, and not by one at or below it."""
    return (order.side is Side.BUY) is not KINDS[order.type].takes_profit


def _key(order: Order, is_upward: bool) -> tuple[int, int]:
    assert order.stop_price is not None and order.sequence is not None, order
    return (order.stop_price if is_upward else -order.stop_price), order.sequence


def _first(queue: "SortedDict[tuple[int, int], Order]") -> tuple[tuple[int, int], Order] | None:
    return queue.peekitem(0) if queue else None


def _first_key(first: tuple[tuple[int, int], Order]) -> tuple[int, int]:
    return first[0]
