"""How stops begin to wait, which become due by the last price, and how they fire.

Contract
- After each command all stops that the last price reaches are triggered, by an event each, before the first of them
  fires. They fire in the order of these events, as takers, before the next command; what becomes due by that is
  triggered behind them. Where a taker has come to that goes on is looked at once it is finished.
- A cascade may end the transaction anywhere. Those that were triggered and have not fired get a TRIGGER command each,
  and these go before all others.
- If not all could be triggered, none fires, and the next transaction begins with the others: nothing has moved the
  last price meanwhile.
"""

from collections.abc import Callable, Iterator

from core.batch import Batch
from core.book import Book
from core.kinds import owed, spends_available
from core.outcome import Event, Outcome
from core.trailing import trailing_stop_price
from core.types import MarketStatus, Order, Phase, Reason, Status


def wait(book: Book, order: Order) -> Event:
    """Let an order wait for its stop price. O(log stops)."""
    order.phase = Phase.WAITING
    if order.trailing_offset is not None:
        order.stop_price = trailing_stop_price(order.side, book.last_price, order.trailing_offset)
    event = book.event(order, Status.WAITING)
    book.stops.add(order, book.last_price)
    return event


def due_stops(book: Book) -> Iterator[Order]:
    """The stops that the last price reaches, in the order in which they become due, after they followed it.

    Each waits until it is asked for the next one. O(log stops) each.
    """
    stops, last_price = book.stops, book.last_price
    if last_price is None:
        return
    stops.follow(last_price)
    while stops.is_due(last_price):
        order = stops.next_due(last_price)
        assert order is not None
        yield order


def trigger(book: Book, order: Order) -> list[Event]:
    """Trigger a waiting stop. It is on its way through the book then, and it takes over what its group has frozen."""
    book.stops.remove(order)
    order.phase, order.is_triggered = Phase.TAKING, True
    limit = book.leave_group(order)
    if limit is not None:
        order.frozen = owed(order, book.rules.quote_step)
        limit.frozen -= order.frozen
    event = book.event(order, Status.TRIGGERED, reason=Reason.TRIGGERED)
    order.priority = event.sequence
    return [event] if limit is None else [event, book.close_alone(limit, Status.CANCELLED, Reason.OCO)]


def cascade(book: Book, batch: Batch, most_fills: int, match: Callable[[Order, Batch, int], Outcome] | None) -> bool:
    """Trigger what the last price reaches, and let it fire, as far as this transaction may. None: nothing may fire.

    False if not everything that is due could be triggered.
    """
    while _trigger_due(book, batch, most_fills):
        left = batch.left(most_fills)
        # The funds of a MARKET BUY by quantity must be locked before it is decided.
        if match is None or not batch.triggered or left <= 0 or spends_available(batch.triggered[0]):
            return True
        order = batch.triggered[0]
        outcome = match(order, batch, min(left, most_fills))
        batch.add_changes(outcome)
        if not outcome.finished:
            # It goes on by the command that it gets as one that was triggered.
            batch.unfinished_order_id, batch.unfinished = order.id, order
            return True
        batch.triggered.popleft()
    return False


def _trigger_due(book: Book, batch: Batch, most_fills: int) -> bool:
    """False if more is due than this transaction may trigger. It triggers one at least, so that there is a command."""
    if not book.stops.orders or batch.status != MarketStatus.TRADING:
        return True
    left = max(1, batch.left(most_fills))
    for order in due_stops(book):
        if not left:
            return False
        batch.add_changes(Outcome(trigger(book, order), []))
        batch.triggered.append(order)
        batch.triggers += 1
        left -= 1
    return True
