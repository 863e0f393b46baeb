"""Where the TRAILING_STOPs of one side stand: each follows the best last price since it was accepted, its extreme.

Of a SELL the extreme is the highest last price, and its stop price is below that by its offset; of a BUY the lowest.
Orders with the same extreme are a group. A group has the orders from one sequence on, up to the next group, so the
groups are a stack: the older, the further its extreme. A last price beyond the newest extremes joins their groups into
one: the smaller one is put into the larger one, so an order moves O(log orders) times in its life, however often the
last price moves.

The entries (from sequence, extreme) are what is stored of all that; the orders' rows do not change while they trail.
Before the first trade there is one group without an extreme, and it is not stored.
"""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import zip_longest
from typing import NamedTuple

from sortedcontainers import SortedDict

from core.money import MAX_UNITS
from core.types import Order, Side


class Entry(NamedTuple):
    """The orders from this sequence on have this extreme, up to the next entry."""

    from_sequence: int
    extreme: int


class TrailChange(NamedTuple):
    """What a batch changed of the stored entries of a side: those that are gone, and those to store.

    Gone are all from the sequence `cut` on (None: none), and those of `removed`.
    """

    side: Side
    cut: int | None
    removed: tuple[int, ...]
    entries: tuple[Entry, ...]


class _Group:
    """The orders with one extreme, by (offset, sequence): the first of them is the next to trigger."""

    __slots__ = ("extreme", "from_sequence", "head", "orders")

    def __init__(self, from_sequence: int, extreme: int | None) -> None:
        self.from_sequence = from_sequence
        self.extreme = extreme
        self.orders: SortedDict[tuple[int, int], Order] = SortedDict()
        # Its place in the trail's `heads`.
        self.head: tuple[int, int] | None = None


class Trail:
    """The waiting TRAILING_STOPs of one side."""

    __slots__ = ("_cut", "_removed", "groups", "heads", "side", "sign")

    def __init__(self, side: Side) -> None:
        self.side = side
        # A price with this sign rises toward the trigger: the smallest is reached first.
        self.sign = 1 if side is Side.BUY else -1
        # By rising `from_sequence`.
        self.groups: list[_Group] = []
        # The next order of each group that has an extreme, by (signed stop price, sequence).
        self.heads: SortedDict[tuple[int, int], _Group] = SortedDict()
        self._cut: int | None = None
        self._removed: set[int] = set()

    def load(self, entries: Iterable[Entry]) -> None:
        """Begin with these stored entries."""
        self.groups = [_Group(*entry) for entry in sorted(entries)]

    def put_back(self, order: Order) -> None:
        """Take in an order that waited before the trail was loaded."""
        if not self.groups or self.groups[0].from_sequence > (order.sequence or 0):
            self.groups.insert(0, _Group(order.sequence or 0, None))
        self._insert(self._group_of(order), order)

    def drop_empty(self) -> None:
        for group in [group for group in self.groups if not group.orders]:
            self._drop(group)

    def add(self, order: Order, last_price: int | None) -> None:
        """Take in an order that begins to wait: its extreme is the last price."""
        assert order.sequence is not None
        if not self.groups or self.groups[-1].extreme != last_price:
            self._begin(order.sequence, last_price)
        self._insert(self.groups[-1], order)

    def remove(self, order: Order) -> None:
        group = self._group_of(order)
        del group.orders[_key(order)]
        self._place_head(group)
        if not group.orders:
            self._drop(group)

    def put_in_place(self, order: Order) -> None:
        """Put an order there in the place of itself, which has the same offset and sequence."""
        self._group_of(order).orders[_key(order)] = order

    def extreme(self, order: Order) -> int | None:
        """The best last price since the order was accepted; None before the first trade."""
        return self._group_of(order).extreme

    def follow(self, last_price: int) -> bool:
        """Move the extremes that the last price passes. Return whether any did."""
        joined = None
        # A group that has this extreme already takes in those that come to have it.
        while self.groups and (
            self._passes(self.groups[-1], last_price) or (joined is not None and self.groups[-1].extreme == last_price)
        ):
            group = self.groups.pop()
            if group.head is not None:
                del self.heads[group.head]
                group.head = None
            joined = group if joined is None else _join(group, joined)
        if joined is None:
            return False
        self._begin(joined.from_sequence, last_price)
        self.groups[-1].orders = joined.orders
        self._place_head(self.groups[-1])
        return True

    def first(self) -> tuple[tuple[int, int], Order] | None:
        """The order that triggers next, with (signed stop price, sequence). O(log orders)."""
        if not self.heads:
            return None
        key, group = self.heads.peekitem(0)
        return key, group.orders.peekitem(0)[1]

    def take_change(self) -> TrailChange | None:
        if self._cut is None and not self._removed:
            return None
        cut, removed = self._cut, tuple(sorted(self._removed))
        first = len(self.groups) if cut is None else self._place_of(cut - 1)
        entries = tuple(
            Entry(group.from_sequence, group.extreme) for group in self.groups[first:] if group.extreme is not None
        )
        self._cut, self._removed = None, set()
        return TrailChange(self.side, cut, removed, entries)

    def check(self) -> int:
        """Assert every invariant, and return the number of orders. O(orders)."""
        extremes = [group.extreme for group in self.groups]
        assert extremes.count(None) == (None in extremes[:1]), extremes
        known = [self.sign * extreme for extreme in extremes if extreme is not None]
        assert known == sorted(set(known)), f"{self.side} extremes {extremes}"
        for group, following in zip_longest(self.groups, self.groups[1:]):
            assert group.orders and (group.head is None) == (group.extreme is None)
            assert group.head is None or self.heads[group.head] is group
            for key, order in group.orders.items():
                assert key == _key(order) and key[1] >= group.from_sequence, order
                assert following is None or key[1] < following.from_sequence, order
        assert len(self.heads) == len(known)
        return sum(len(group.orders) for group in self.groups)

    def _passes(self, group: _Group, last_price: int) -> bool:
        """Whether the group's extreme is no further than the last price. One with the same extreme stays as it is."""
        return group.extreme is None or self.sign * last_price < self.sign * group.extreme

    def _begin(self, from_sequence: int, extreme: int | None) -> None:
        self.groups.append(_Group(from_sequence, extreme))
        if extreme is not None:
            self._cut = from_sequence if self._cut is None else min(self._cut, from_sequence)

    def _insert(self, group: _Group, order: Order) -> None:
        group.orders[_key(order)] = order
        self._place_head(group)

    def _place_head(self, group: _Group) -> None:
        """Put the group where its first order belongs."""
        if group.head is not None:
            del self.heads[group.head]
            group.head = None
        if group.extreme is not None and group.orders:
            offset, sequence = group.orders.keys()[0]
            group.head = (self.sign * group.extreme + offset, sequence)
            self.heads[group.head] = group

    def _drop(self, group: _Group) -> None:
        del self.groups[self._place_of(group.from_sequence) - 1]
        if group.extreme is not None:
            self._removed.add(group.from_sequence)

    def _group_of(self, order: Order) -> _Group:
        assert order.sequence is not None
        return self.groups[self._place_of(order.sequence) - 1]

    def _place_of(self, sequence: int) -> int:
        return bisect_right(self.groups, sequence, key=lambda group: group.from_sequence)


def trailing_stop_price(side: str, extreme: int | None, offset: int) -> int | None:
    """The stop price at this extreme; None before the first trade, and where no price can reach it."""
    if extreme is None:
        return None
    stop = extreme + offset if side == Side.BUY else extreme - offset
    return stop if 0 < stop <= MAX_UNITS else None


def _join(older: _Group, newer: _Group) -> _Group:
    """The orders of both as one group, from the older one's sequence on."""
    larger, smaller = (older, newer) if len(older.orders) > len(newer.orders) else (newer, older)
    larger.orders.update(smaller.orders)
    larger.from_sequence = older.from_sequence
    return larger


def _key(order: Order) -> tuple[int, int]:
    assert order.trailing_offset is not None and order.sequence is not None
    return order.trailing_offset, order.sequence
