"""DECREMENT: what self-trade prevention takes off two orders of one user that would trade with each other.

Both lose the smaller of their quantities, and nothing trades. An order by quote quantity loses what the quantity would
have cost at the maker's price. What was frozen for it is released with the event that says so. An order of which
nothing is left is closed, and as it was not all filled it is CANCELLED.
"""

from core.book import Book
from core.kinds import owed
from core.money import notional
from core.outcome import Event
from core.types import Order, Phase, Reason, Status


def decrement(book: Book, order: Order, quantity: int, price: int) -> list[Event]:
    """Take the quantity off an order, resting or on its way. `price` is the maker's. O(1), or O(log levels)."""
    rests = order.phase is Phase.RESTING
    if order.quantity == order.filled + quantity:
        if rests:
            book.unrest(order)
        order.phase = Phase.CLOSED
    elif rests:
        book.ladders[order.side].reduce(order, quantity)
    _lose(order, quantity, price, book.rules.quote_step)
    if order.phase is Phase.CLOSED:
        return book.close(order, Status.CANCELLED, Reason.SELF_TRADE)
    needed = _needed(book, order)
    released, order.frozen = order.frozen - needed, needed
    status = Status.PARTIALLY_FILLED if order.filled else Status.OPEN
    event = book.event(order, status, reason=Reason.SELF_TRADE, released=released)
    if order.tip == 0:
        book.ladders[order.side].refill(order, event.sequence)
    return [event]


def _lose(order: Order, quantity: int, price: int, step: int) -> None:
    if not order.is_extended:
        order.is_extended = True
        if order.price is not None and order.quantity is not None:
            order.placed = (order.price, order.quantity)
    order.prevented += quantity
    if order.quantity is not None:
        order.quantity -= quantity
        return
    order.prevented_notional += notional(price, quantity)
    if not owed(order, step):
        order.phase = Phase.CLOSED


def _needed(book: Book, order: Order) -> int:
    """What the order must have frozen, or the other one of its group, which holds nothing itself."""
    other = book.other_leg(order)
    legs = (order,) if other is None else (order, other)
    return max(owed(leg, book.rules.quote_step) for leg in legs)
