"""An amend: an order that is open gets other terms, or stays as it is.

Contract
- A new price and a larger quantity put a resting order at the end of its level; whatever else changes, it keeps its
  place. An order whose new price crosses goes through the book as a taker.
- Refused are a quantity that is filled already, terms for which what is frozen does not suffice, a post-only order
  that would cross, and another stop price of one that was triggered. A refused amend changes nothing: it makes an
  event, and releases what was frozen for it.
- The order of the book is not changed but replaced, because events that refer to it may not be published yet.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.book import Book
from core.kinds import DISPLAY_QUANTITY, EXPIRES_AT, PRICE, QUANTITY, STOP_PRICE, owed
from core.ladder import first_tip
from core.outcome import Event, Outcome
from core.taker import place
from core.types import Order, Phase, Reason

# What an amend may change, by the names that a command's data and an Order have for it.
AMENDABLE = (PRICE, QUANTITY, DISPLAY_QUANTITY, STOP_PRICE, EXPIRES_AT)


def amend(book: Book, order: Order, terms: Mapping[str, Any], reserved: int, max_steps: int) -> Outcome:
    """Give an open order these terms. O(orders met x log levels).

    `reserved` is what was frozen for that beside the order's own funds.
    """
    changed = with_terms(order, terms)
    moves = order.phase is Phase.RESTING and _loses_its_place(order, changed)
    other = book.other_leg(order)
    # Of a group the leg that rests has frozen what the dearer one needs.
    holder = changed if other is None or order.phase is Phase.RESTING else other
    need = max(owed(leg, book.rules.quote_step) for leg in (changed, other) if leg is not None)
    frozen = holder.frozen + reserved
    is_too_late = _is_filled(changed) or (order.is_triggered and STOP_PRICE in terms)
    if is_too_late or need > frozen or (moves and _would_take(book, changed)):
        return refuse_amend(book, order, reserved)
    holder.frozen = need
    if moves:
        book.unrest(order)
        changed.phase, changed.priority = Phase.TAKING, book.next_sequence
        # It begins anew: its band is around the last price of now, and an iceberg has a tip once it rests.
        changed.protection_price = changed.tip = None
    else:
        changed.tip = _smaller_tip(changed)
        book.put_in_place(order, changed)
    event = _event(book, changed, Reason.AMENDED, frozen - need)
    if not moves:
        return Outcome([event], [], order=changed, holder=None if holder is changed else holder)
    if book.collects:
        book.rest(changed)
        return Outcome([event], [], order=changed)
    taken = place(book, changed, max_steps)
    return Outcome([event, *taken.events], taken.trades, taken.finished, changed)


def refuse_amend(book: Book, order: Order, reserved: int) -> Outcome:
    """Leave the order as it is, also one that is closed. What was frozen for the amend is released."""
    return Outcome([_event(book, order, Reason.AMEND_REFUSED, reserved)], [])


def with_terms(order: Order, terms: Mapping[str, Any]) -> Order:
    """A new object for the order with these terms. A quantity is what the client knows, with what was prevented."""
    changes = dict(terms)
    if QUANTITY in changes:
        changes[QUANTITY] -= order.prevented
    if order.placed is None and _was_plain(order):
        assert order.price is not None and order.quantity is not None, order
        changes["placed"] = (order.price, order.quantity + order.prevented)
    return replace(order, is_extended=True, **changes)


def _was_plain(order: Order) -> bool:
    """Whether its events had no terms at first. Self-trade prevention may have taken something off it since."""
    beyond = (order.stop_price, order.trailing_offset, order.display_quantity, order.expires_at, order.group_id)
    return all(value is None for value in beyond)


def _loses_its_place(order: Order, changed: Order) -> bool:
    assert order.quantity is not None and changed.quantity is not None
    return changed.price != order.price or changed.quantity > order.quantity


def _is_filled(changed: Order) -> bool:
    return changed.quantity is not None and changed.quantity <= changed.filled


def _would_take(book: Book, changed: Order) -> bool:
    """Whether a post-only order would trade at its new price."""
    return changed.post_only and not book.collects and book.opposite[changed.side].met_by(changed.price) is not None


def _smaller_tip(changed: Order) -> int | None:
    """What is visible of an iceberg that keeps its place: a smaller display quantity holds at once."""
    if changed.display_quantity is None:
        return None
    most = first_tip(changed)
    return most if changed.tip is None else min(changed.tip, most)


def _event(book: Book, order: Order, reason: Reason, released: int) -> Event:
    """The order's status stays as it is; the reason is the event's alone."""
    return book.event(order, order.status, reason=reason, released=released)
