"""What rests and what waits, the events, and how an order ends."""

from collections.abc import Iterable
from decimal import Decimal

from audit.naive.funds import Funds
from audit.naive.orders import NaiveEvent, NaiveOrder, NaiveTrade


class Book(Funds):
    def __init__(self, lot: Decimal, base_step: Decimal, quote_step: Decimal) -> None:
        super().__init__(base_step, quote_step)
        self.lot = lot
        self.resting: list[NaiveOrder] = []
        # Stops: those that wait for their price, and those that it reached and that have not fired yet, in their order.
        self.waiting: list[NaiveOrder] = []
        self.due: list[NaiveOrder] = []
        self.trades: list[NaiveTrade] = []
        self.events: list[NaiveEvent] = []
        self.status = "TRADING"
        # In a replay: what goes on stops once the market has so many events.
        self.stops_at: int | None = None
        # And no stop becomes due any more.
        self.triggers_until: int | None = None

    @property
    def has_to_stop(self) -> bool:
        return self.stops_at is not None and len(self.events) >= self.stops_at

    @property
    def last_price(self) -> Decimal | None:
        return self.trades[-1].price if self.trades else None

    def side(self, side: str) -> list[NaiveOrder]:
        """The orders that rest on a side, in the order in which they would trade."""
        return by_price_and_time(order for order in self.resting if order.side == side)

    def open_orders(self) -> list[NaiveOrder]:
        return [order for order in self.orders.values() if order.active]

    def rest(self, order: NaiveOrder) -> None:
        """Put the order into the book, with a fresh tip if it is an iceberg."""
        order.tip = None if order.display is None else min(order.display, order.rest)
        self.resting.append(order)

    def shrink(self, order: NaiveOrder, quantity: Decimal) -> None:
        """Take so much from the tip, after the event that used it up: a new tip stands at the end of its level."""
        if order.tip is None or order not in self.resting:
            return
        order.tip -= quantity
        if not order.tip and order.rest:
            order.tip = min(order.display or order.rest, order.rest)
            order.moved = len(self.events)

    def record(self, order: NaiveOrder, trade: int | None = None, reason: str | None = None) -> None:
        """Make the order's next event. A reason that is given is the event's alone."""
        self.events.append(
            NaiveEvent(order.id, order.status, reason or order.reason, order.active, order.filled, trade)
        )
        if order.sequence is None:
            order.sequence = len(self.events)

    def close(self, order: NaiveOrder, status: str, reason: str | None = None) -> None:
        """End an order, and the other leg of its OCO right behind it."""
        partner = self.partner_of(order)
        self.end(order, status, reason)
        self.record(order)
        if partner is not None and reason != "OCO":
            self.close(partner, "CANCELLED", "USER_CANCELLED" if reason == "USER_CANCELLED" else "OCO")

    def end(self, order: NaiveOrder, status: str, reason: str | None) -> None:
        """End an order without an event. What it had frozen is released."""
        order.status, order.reason, order.active, order.tip = status, reason, False, None
        for place in (self.resting, self.waiting, self.due):
            if order in place:
                place.remove(order)
        self.refreeze(order)


def by_price_and_time(orders: Iterable[NaiveOrder]) -> list[NaiveOrder]:
    """Orders of one side, best price first, and at one price by their place in time."""
    return sorted(orders, key=lambda order: (-order.limit if order.is_buy else order.limit, order.place))
