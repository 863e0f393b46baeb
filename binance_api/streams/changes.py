"""What is sent to a client that keeps a book, between two readings of it. Pure.

A client reads the book once over REST and then applies what it receives. Its reading may fall between two of ours, so
it is not enough to send how our later reading differs from the earlier one: an order that came and went between them
would stay in the client's book for ever. So all prices are sent at which anything happened, with what rests there now.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

# Price and quantity, in units.
Change = tuple[int, int]


class Reading(NamedTuple):
    """The best levels of both sides after the event of this number: the quantity at each price, in units."""

    sequence: int
    bids: Mapping[int, int]
    asks: Mapping[int, int]


class Update(NamedTuple):
    """What changed with the events `first` to `last`. A quantity of 0 takes the level away."""

    first: int
    last: int
    bids: Collection[Change]
    asks: Collection[Change]


def reading(sequence: int, bids: Iterable[tuple[int, int, int]], asks: Iterable[tuple[int, int, int]]) -> Reading:
    """Of levels with their numbers of orders."""
    return Reading(sequence, {price: quantity for price, quantity, _ in bids}, {price: left for price, left, _ in asks})


def update(
    first: int, before: Reading, now: Reading, touched: tuple[Collection[int], Collection[int]]
) -> Update | None:
    """What is sent after the reading `before`; None where nothing is. `touched` are the prices of bids and of asks.

    A level that is not among the best any more is sent as taken away, so that a client has the levels of our reading.
    """
    bids = _changes(before.bids, now.bids, touched[0], highest_first=True)
    asks = _changes(before.asks, now.asks, touched[1], highest_first=False)
    return Update(first, now.sequence, bids, asks) if bids or asks else None


def _changes(
    before: Mapping[int, int], now: Mapping[int, int], touched: Collection[int], *, highest_first: bool
) -> list[Change]:
    moved = {price for price, quantity in now.items() if before.get(price) != quantity}
    prices = {*moved, *(before.keys() - now.keys()), *touched}
    return [(price, now.get(price, 0)) for price in sorted(prices, reverse=highest_first)]
