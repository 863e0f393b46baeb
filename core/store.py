"""Resting orders that are kept outside of the book until they are needed, level by level."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from core.types import Order, Side


class LevelSums(NamedTuple):
    """What is known of a stored level before its orders are read."""

    side: Side
    price: int
    quantity: int
    order_count: int
    hidden: int


class OrderStore(Protocol):
    """Resting orders that are kept outside of the book, level by level, until they are needed."""

    def levels(self) -> Iterable[LevelSums]:
        """All levels, in any order."""

    def read(self, level: LevelSums) -> Iterable[Order]:
        """The orders of a level, oldest first, which must be what its sums say. Asked once for each level."""

    def find(self, order_id: int) -> LevelSums | None:
        """The level at which the order was stored."""
