"""What ends an order beside its trades: a cancel, and the end of a GTD order's time."""

from core.book import Book
from core.outcome import Outcome
from core.types import CommandKind, PendingCommand, Reason, Status

# The commands with which a new order may come that ends before it was taken up.
ENDS = (CommandKind.EXPIRE, CommandKind.REFUSE)


def close_by(book: Book, command: PendingCommand) -> Outcome:
    """Apply a CANCEL, an EXPIRE or a REFUSE. A new order comes with an EXPIRE if its time was over before it was taken
    up, and with a REFUSE if the sandbox was asked to reject it.
    """
    if command.kind == CommandKind.REFUSE:
        assert command.order is not None, command
        return book.refuse(command.order, Status.REJECTED, Reason.SIMULATED)
    if command.kind != CommandKind.EXPIRE:
        return book.cancel(command.order_id, Reason(command.data["reason"]) if command.data else Reason.USER_CANCELLED)
    if command.order is not None:
        return book.refuse(command.order, Status.EXPIRED, Reason.GTD_EXPIRED)
    assert command.data is not None, command
    return expire(book, command.order_id, command.data["expires_at"])


def expire(book: Book, order_id: int, due: object) -> Outcome:
    """Take a GTD order out whose time is over, unless an amend has given it another since. O(1)."""
    order = book.find(order_id) or book.stops.orders.get(order_id)
    if order is None or order.expires_at != due:
        return Outcome([], [])
    book.take_out(order_id)
    status = Status.PARTIALLY_FILLED if order.filled else Status.EXPIRED
    return Outcome(book.close(order, status, Reason.GTD_EXPIRED), [])
