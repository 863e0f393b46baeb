"""What a taker meets that names one resting order: that order alone, whatever stands before it in the book.

Contract
- Such a taker never rests, because it might cross what it has passed over.
- The named order is met at its own price, if it rests on the other side at a price that the taker accepts. Nothing else
  is met: when it is gone, the taker has met all that there is.
- Everything else is as for any taker: fees, self-trade prevention, the price band, and what becomes of the rest.
"""

from collections.abc import Iterator

from core.book import Book
from core.ladder import Ladder
from core.types import Order


class NamedOrder:
    """The opposite side of the book as such a taker sees it."""

    __slots__ = ("_book", "_id", "_side")

    def __init__(self, book: Book, side: Ladder, order_id: int) -> None:
        self._book, self._side, self._id = book, side, order_id

    def met_by(self, limit: int | None) -> Order | None:
        """The order, while it rests at a price that a taker with this limit price (None: any) accepts."""
        order = self._book.find(self._id)
        if order is None or order.side is not self._side.side:
            return None
        assert order.price is not None
        return order if self._side.accepts(limit, order.price) else None

    def accepts(self, limit: int | None, price: int) -> bool:
        return self._side.accepts(limit, price)

    def holds(self, quantity: int, limit: int | None) -> bool:
        order = self.met_by(limit)
        return order is not None and order.quantity is not None and order.quantity - order.filled >= quantity

    def __iter__(self) -> Iterator[Order]:
        order = self.met_by(None)
        return iter([] if order is None else [order])
