"""The price band: how far from the reference price a taker may trade, so that one order does not empty a thin book.

The reference price is the last trade's, else the middle of the best bid and the best ask, else there is none. It is
counted twice, because the middle of two prices may be half a unit.
"""

from core.money import MAX_UNITS, UNIT
from core.types import Side


def twice_reference(last: int | None, best_bid: int | None, best_ask: int | None) -> int | None:
    """Twice the reference price, in units."""
    if last is not None:
        return 2 * last
    return None if best_bid is None or best_ask is None else best_bid + best_ask


def furthest_price(side: Side, twice: int | None, band: int) -> int:
    """The furthest price that a taker of this side may trade at, in units. Without a reference price it may at any.

    `band` is a fraction in units: 0.1 is 10_000_000.
    """
    if side is Side.BUY:
        return MAX_UNITS if twice is None else min(MAX_UNITS, twice * (UNIT + band) // (2 * UNIT))
    return 0 if twice is None else -(-twice * (UNIT - band) // (2 * UNIT))
