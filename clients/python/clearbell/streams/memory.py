"""What a reader of a stream remembers, so that each thing is delivered once."""

from collections import OrderedDict
from collections.abc import Hashable, Iterator

from ..answers.orders import Order

# More are never sent again: the exchange sends 1,000 missed events at most.
REMEMBERED = 4_000


class Recent:
    """The last so many keys."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._keys: OrderedDict[Hashable, None] = OrderedDict()

    def add(self, key: Hashable) -> bool:
        """Whether the key is new."""
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > self._limit:
            self._keys.popitem(last=False)
        return True

    def forget(self) -> None:
        self._keys.clear()


class KnownOrders:
    """Each order as it was delivered last: all that are open, and the last that were closed."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[Hashable, ...]] = {}
        self._closed: OrderedDict[int, tuple[Hashable, ...]] = OrderedDict()

    def update(self, order: Order) -> bool:
        """Whether it is other than it was delivered last."""
        state = (order.status, order.filled_quantity, order.price, order.quantity, order.stop_price, order.updated_at)
        known = self._open.pop(order.order_id, None) or self._closed.pop(order.order_id, None)
        if order.active:
            self._open[order.order_id] = state
        else:
            self._closed[order.order_id] = state
            if len(self._closed) > REMEMBERED:
                self._closed.popitem(last=False)
        return known != state

    def open_ids(self) -> Iterator[int]:
        return iter(list(self._open))
