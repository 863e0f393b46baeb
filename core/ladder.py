"""One side of a book: price levels, best first, and the orders of each level, oldest first."""

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
    """The orders that rest at one price, in time priority, and the sum of their remaining quantities."""

    # `source` is a StoredLevel's.
    __slots__ = ("key", "orders", "quantity", "source")

    def __init__(self, key: int) -> None:
        self.key = key
        # An OrderedDict, because a plain dict steps over all removed entries each time its first one is asked for.
        self.orders: OrderedDict[int, Order] = OrderedDict()
        self.quantity = 0

    @property
    def order_count(self) -> int:
        return len(self.orders)


class StoredLevel(Level):
    """A level whose orders are read when the first of them is needed. From then on it is a level like any other.

    It changes its class then, so that a level in use costs no question whether it was read.
    """

    __slots__ = ()

    def __init__(self, key: int, quantity: int, order_count: int, read: Callable[[], Iterable[Order]]) -> None:
        self.key = key
        self.quantity = quantity
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
        """Put the order behind all others at its price. O(log levels) for a new price, else O(1)."""
        assert order.price is not None and order.quantity is not None
        key = self.sign * order.price
        level = self.levels.get(key)
        if level is None:
            level = self.levels[key] = Level(key)
            if self.first is None or key < self.first.key:
                self.first = level
        level.orders[order.id] = order
        level.quantity += visible(order)

    def remove(self, order: Order) -> None:
        """Take the order out. O(1), or O(log levels) when no other order rests at its price."""
        assert order.price is not None and order.quantity is not None
        key = self.sign * order.price
        level = self.levels[key]
        del level.orders[order.id]
        level.quantity -= visible(order)
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
        level = self.levels[self.sign * price]
        level.orders = OrderedDict(sorted(level.orders.items(), key=lambda item: item[1].place))

    def reduce(self, order: Order, quantity: int) -> None:
        """Take a fill's quantity off the level of an order that still rests. O(1)."""
        self.levels[self._key(order)].quantity -= quantity

    def put_in_place(self, order: Order, changed: Order) -> None:
        """Put the changed order where the order stands, which has the same id, side and price. O(1)."""
        level = self.levels[self._key(order)]
        level.orders[order.id] = changed
        level.quantity += visible(changed) - visible(order)

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
        """Whether so much rests at prices that a taker with this limit price accepts. O(levels)."""
        for level in self.levels.values():
            if limit is not None and level.key > self.sign * limit:
                return False
            quantity -= level.quantity
            if quantity <= 0:
                return True
        return False

    def wanted(self) -> Iterator[tuple[int, int]]:
        """Price and quantity of each level, best first."""
        return ((self.sign * level.key, level.quantity) for level in self.levels.values())

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
            for order in level.orders.values():
                assert order.side is self.side and self._key(order) == key, order
                assert order.phase is Phase.RESTING, order
                assert visible(order) > 0, order

    def _key(self, order: Order) -> int:
        assert order.price is not None
        return self.sign * order.price


def visible(order: Order) -> int:
    """How much of a resting order the book shows: all that is left of it, but of an iceberg its tip."""
    assert order.quantity is not None
    return order.quantity - order.filled if order.tip is None else order.tip
