"""The call auction: orders are collected without trading, and then all trade at the one price that trades most.

Contract
- While a book collects, every order rests as it comes, and the book may be crossed.
- `uncross` trades bids by price and time against asks by price and time, at the one price that `equilibrium` finds.
  Everybody pays the maker's rate, self-trade prevention does not act, and the younger of the two counts as the taker.
- A price beyond the band is moved to the band's edge. What still crosses then is closed, so that a market never begins
  to trade with a crossed book.
- An uncrossing that would make more than `max_steps` trades stops there, unfinished. It goes on at the price of its
  last trade, before any other command.
"""

from collections.abc import Iterable
from itertools import accumulate
from typing import NamedTuple

from core.band import furthest_price
from core.book import Book
from core.fees import charge
from core.kinds import RESTING
from core.ladder import visible
from core.money import notional
from core.outcome import Event, Outcome, Trade
from core.types import Order, OrderType, Reason, Side, Status

# Price and quantity.
Wanted = tuple[int, int]


class Equilibrium(NamedTuple):
    """The price at which most would trade, and how much. In units."""

    price: int
    quantity: int


def equilibrium(bids: Iterable[Wanted], asks: Iterable[Wanted], last_price: int | None) -> Equilibrium | None:
    """The price of the book that trades most, then leaves least over, then is nearest to the last price.

    Without a last price nearest to the middle of those that are left; at one distance the lower one. None if nothing
    crosses. O(levels x log levels).
    """
    sold: dict[int, int] = {}
    bought: dict[int, int] = {}
    for sums, wanted in ((bought, bids), (sold, asks)):
        for price, quantity in wanted:
            sums[price] = sums.get(price, 0) + quantity
    if not bought or not sold or max(bought) < min(sold):
        return None
    prices = sorted(bought.keys() | sold.keys())
    supply = list(accumulate(sold.get(price, 0) for price in prices))
    demand = list(accumulate(bought.get(price, 0) for price in reversed(prices)))[::-1]
    ranks = [(-min(pair), abs(pair[0] - pair[1])) for pair in zip(demand, supply, strict=True)]
    best = min(ranks)
    tied = [price for price, rank in zip(prices, ranks, strict=True) if rank == best]
    twice = tied[0] + tied[-1] if last_price is None else 2 * last_price
    return Equilibrium(min(tied, key=lambda price: (abs(2 * price - twice), price)), -best[0])


def indicative(book: Book) -> Equilibrium | None:
    """The price and quantity at which the book would trade now, without regard to a band."""
    bids, asks = (book.ladders[side].wanted() for side in (Side.BUY, Side.SELL))
    return equilibrium(bids, asks, book.last_price)


def collect(book: Book, order: Order) -> Outcome:
    """Let the order rest without trading. What an auction does not take is closed."""
    if order.type is not OrderType.LIMIT or order.time_in_force not in RESTING:
        status = Status.PARTIALLY_FILLED if order.filled else Status.REJECTED
        return Outcome(book.close(order, status, Reason.NOT_IN_AUCTION), [])
    is_new = order.status is Status.PENDING
    book.rest(order)
    return Outcome([book.event(order, Status.OPEN)] if is_new else [], [])


def uncross(book: Book, band: int | None, max_steps: int, *, goes_on: bool) -> Outcome:
    """Trade what crosses at one price. `goes_on`: an earlier transaction began it. O(trades x log levels)."""
    return _Uncrossing(book, max_steps).run(band, goes_on)


class _Uncrossing:
    def __init__(self, book: Book, max_steps: int) -> None:
        self.book = book
        self.steps_left = max_steps
        self.events: list[Event] = []
        self.trades: list[Trade] = []

    def run(self, band: int | None, goes_on: bool) -> Outcome:
        book = self.book
        if book.is_crossed():
            price = self._price(band, goes_on)
            while self.steps_left and (pair := self._pair(price)) is not None:
                self.steps_left -= 1
                self._trade(*pair, price)
            while self.steps_left and self._pair(price) is None and book.is_crossed():
                self.steps_left -= 1
                self._close_beyond(price)
        return Outcome(self.events, self.trades, finished=not book.is_crossed())

    def _price(self, band: int | None, goes_on: bool) -> int:
        """The one price. An uncrossing that goes on keeps it, because it is the price of its last trade."""
        book = self.book
        if goes_on:
            assert book.last_price is not None
            return book.last_price
        found = indicative(book)
        assert found is not None
        if band is None or book.last_price is None:
            return found.price
        tick, twice = book.rules.tick_size, 2 * book.last_price
        lowest = -(-furthest_price(Side.SELL, twice, band) // tick) * tick
        highest = furthest_price(Side.BUY, twice, band) // tick * tick
        return min(max(found.price, lowest), highest)

    def _pair(self, price: int) -> tuple[Order, Order] | None:
        """The bid and the ask that trade next at this price."""
        bid = self.book.ladders[Side.BUY].met_by(price)
        ask = self.book.ladders[Side.SELL].met_by(price)
        return None if bid is None or ask is None else (bid, ask)

    def _trade(self, bid: Order, ask: Order, price: int) -> None:
        book = self.book
        quantity = min(visible(bid), visible(ask))
        value = notional(price, quantity)
        taker, maker = (bid, ask) if bid.place > ask.place else (ask, bid)
        rates = bid.maker_fee_rate, ask.maker_fee_rate
        charges = charge(book.rules, taker, bid, *rates, quantity, value)
        charged = (charges.buyer_fee, charges.seller_fee, charges.unfrozen, charges.rebate, bid.fee_in_quote)
        trade = Trade(book.next_sequence, taker, bid, ask, price, quantity, value, *charged)
        self.trades.append(trade)
        book.last_price = price
        bid.frozen -= charges.unfrozen
        ask.frozen -= quantity
        for order in (taker, maker):
            self.events.append(book.fill_resting(order, trade))
        for order in (taker, maker):
            if order.group_id is not None:
                self.events += book.end_group(order)

    def _close_beyond(self, price: int) -> None:
        """Close the best order of the side that would trade beyond the price."""
        ask = self.book.best_price(Side.SELL)
        side = Side.BUY if ask is None or ask > price else Side.SELL
        order = self.book.ladders[side].met_by(None)
        assert order is not None
        self.book.unrest(order)
        status = Status.PARTIALLY_FILLED if order.filled else Status.REJECTED
        self.events += self.book.close(order, status, Reason.PRICE_PROTECTION)
