"""One side of a book: price levels, best first, and the orders of each level, oldest first.

Of an iceberg the book shows the tip alone. What is behind it is counted apart, because takers reach it all the same: a
tip that is used up is followed by the next one, behind all others at its price.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from sortedcontainers import SortedDict

from core.types import Order, Phase, Side


class DepthLevel(NamedTuple):
    """One price of the book as clients see it: the remaining quantity that rests there, and the number of orders."""

    price: int
    quantity: int
    order_count: int


class Level:
    """The orders that rest at one price, in time priority, and the sums of what is visible and what is hidden."""

    # `source` is a StoredLevel's.
    __slots__ = ("hidden", "key", "orders", "quantity", "source")

    def __init__(self, key: int) -> None:
        self.key = key
        # An OrderedDict, because a plain dict steps over all removed entries each time its first one is asked for.
        self.orders: OrderedDict[int, Order] = OrderedDict()
        self.quantity = 0
        self.hidden = 0

    @property
    def order_count(self) -> int:
        return len(self.orders)

    def sort(self) -> None:
        """Put the orders into the order of their places in time."""
        self.orders = OrderedDict(sorted(self.orders.items(), key=lambda item: item[1].place))


class StoredLevel(Level):
    """A level whose orders are read when the first of them is needed. From then on it is a level like any other.

    It changes its class then, so that a level in use costs no question whether it was read.
    """

    __slots__ = ()

    def __init__(
        self, key: int, quantity: int, hidden: int, order_count: int, read: Callable[[], Iterable[Order]]
    ) -> None:
        self.key = key
        self.quantity = quantity
        self.hidden = hidden
        self.source = (order_count, read)

    @property
    def order_count(self) -> int:
        return self.source[0]

    @property
    def orders(self) -> OrderedDict[int, Order]:  # type: ignore[override]
        _, read = self.source
        orders = OrderedDict((order.id, order) for order in read())
        self.__class__ = Level  # type: ignore[assignment]
        del self.source
        self.orders = orders  # type: ignore[misc]
        return orders


class Ladder:
    """All resting orders of one side. A level's key is its price with a sign: the best key is the smallest."""

    __slots__ = ("first", "levels", "side", "sign")

    def __init__(self, side: Side) -> None:
        self.side = side
        self.sign = -1 if side is Side.BUY else 1
        self.levels: SortedDict[int, Level] = SortedDict()
        # The best level. It is kept here because every taker reads it several times.
        self.first: Level | None = None

    def add(self, order: Order) -> None:
        """Put the order behind all others at its price. O(log levels) for a new price, else O(1).

        An iceberg that has no tip begins with its first. An order that was triggered goes before an iceberg that has
        had its tip filled up since: O(n log n).
        """
        assert order.price is not None and order.quantity is not None
        key = self.sign * order.price
        level = self.levels.get(key)
        if level is None:
            level = self.levels[key] = Level(key)
            if self.first is None or key < self.first.key:
                self.first = level
        if order.is_extended:
            self._add_extended(level, order)
        else:
            level.orders[order.id] = order
            level.quantity += order.quantity - order.filled

    def remove(self, order: Order) -> None:
        """Take the order out. O(1), or O(log levels) when no other order rests at its price."""
        assert order.price is not None and order.quantity is not None
        key = self.sign * order.price
        level = self.levels[key]
        del level.orders[order.id]
        if order.tip is None:
            level.quantity -= order.quantity - order.filled
        else:
            level.quantity -= order.tip
            level.hidden -= hidden(order)
        if not level.orders:
            del self.levels[key]
            if level is self.first:
                self.first = self.levels.peekitem(0)[1] if self.levels else None

    def stock(self, levels: Iterable[Level]) -> None:
        """Take all levels of the side in, which must be empty. O(levels)."""
        assert not self.levels
        self.levels.update((level.key, level) for level in levels)
        self.first = self.levels.peekitem(0)[1] if self.levels else None

    def sort(self, price: int) -> None:
        """Put the orders at this price into the order of their sequences. O(n log n)."""
        self.levels[self.sign * price].sort()

    def reduce(self, order: Order, quantity: int) -> None:
        """Take a quantity off the level of an order that still rests, before the order loses it. O(1)."""
        self.levels[self._key(order)].quantity -= quantity
        if order.tip is not None:
            order.tip -= quantity

    def refill(self, order: Order, priority: int) -> None:
        """Follow the tip that is used up by the next one, behind all others at its price. O(1).

        `priority`: the number of the event that used it up.
        """
        level = self.levels[self._key(order)]
        order.tip, order.priority = first_tip(order), priority
        level.quantity += order.tip
        level.hidden -= order.tip
        level.orders.move_to_end(order.id)

    def put_in_place(self, order: Order, changed: Order) -> None:
        """Put the changed order where the order stands, which has the same id, side and price. O(1)."""
        level = self.levels[self._key(order)]
        level.orders[order.id] = changed
        level.quantity += visible(changed) - visible(order)
        level.hidden += hidden(changed) - hidden(order)

    def met_by(self, limit: int | None) -> Order | None:
        """The order that a taker with this limit price (None: any) meets next: best price, then oldest. O(1)."""
        level = self.first
        if level is None or (limit is not None and level.key > self.sign * limit):
            return None
        return next(iter(level.orders.values()))

    def best_price(self) -> int | None:
        return None if self.first is None else self.sign * self.first.key

    def accepts(self, limit: int | None, price: int) -> bool:
        """Whether a taker with this limit price (None: any) accepts a price of this side."""
        return limit is None or self.sign * price <= self.sign * limit

    def holds(self, quantity: int, limit: int | None) -> bool:
        """Whether so much rests at prices that a taker with this limit price accepts, visible or hidden. O(levels)."""
        for level in self.levels.values():
            if limit is not None and level.key > self.sign * limit:
                return False
            quantity -= level.quantity + level.hidden
            if quantity <= 0:
                return True
        return False

    def wanted(self) -> Iterator[tuple[int, int]]:
        """Price and quantity of each level, what is hidden included, best first."""
        return ((self.sign * level.key, level.quantity + level.hidden) for level in self.levels.values())

    def __iter__(self) -> Iterator[Order]:
        """All orders in the order in which they would trade."""
        for level in self.levels.values():
            yield from level.orders.values()

    def depth(self, limit: int) -> list[DepthLevel]:
        """The best `limit` levels. O(limit)."""
        keys = self.levels.keys()[:limit]
        levels = map(self.levels.__getitem__, keys)
        return [DepthLevel(self.sign * level.key, level.quantity, level.order_count) for level in levels]

    def check(self) -> None:
        """Assert every internal invariant. O(orders)."""
        assert self.first is (self.levels.peekitem(0)[1] if self.levels else None)
        for key, level in self.levels.items():
            assert level.orders and level.key == key, f"level {level.key} at {key}: {len(level.orders)} orders"
            sequences = [order.place for order in level.orders.values()]
            assert sequences == sorted(sequences), f"time priority broken at {key}: {sequences}"
            assert level.quantity == sum(map(visible, level.orders.values())), f"level {key} miscounts"
            assert level.hidden == sum(map(hidden, level.orders.values())), f"level {key} miscounts what is hidden"
            for order in level.orders.values():
                assert order.side is self.side and self._key(order) == key, order
                assert order.phase is Phase.RESTING, order
                assert visible(order) > 0 and hidden(order) >= 0, order

    def _add_extended(self, level: Level, order: Order) -> None:
        if order.display_quantity is not None and order.tip is None:
            order.tip = first_tip(order)
        last = next(reversed(level.orders.values()), None)
        level.orders[order.id] = order
        level.quantity += visible(order)
        level.hidden += hidden(order)
        if last is not None and last.place > order.place and order.is_triggered:
            level.sort()

    def _key(self, order: Order) -> int:
        assert order.price is not None
        return self.sign * order.price


def visible(order: Order) -> int:
    """How much of a resting order the book shows: all that is left of it, but of an iceberg its tip."""
    assert order.quantity is not None
    return order.quantity - order.filled if order.tip is None else order.tip


def hidden(order: Order) -> int:
    """How much of a resting order the book does not show."""
    assert order.quantity is not None
    return 0 if order.tip is None else order.quantity - order.filled - order.tip


def first_tip(order: Order) -> int:
    """What the book shows of an iceberg that begins to rest, or whose tip was used up."""
    assert order.quantity is not None and order.display_quantity is not None
    return min(order.display_quantity, order.quantity - order.filled)
