"""What a command changes: events, trades, and the terms of an order after an event. Amounts are integers of units."""

from typing import NamedTuple

from core.types import Order, Reason, Status


class Trade(NamedTuple):
    """One meeting of a taker and a resting order, at the resting order's price.

    `buyer_unfrozen` is the amount that leaves the buyer's frozen funds: the notional at the buyer's own limit price.
    The difference to `notional` becomes available. It is 0 for a MARKET BUY by quantity, which has nothing frozen.
    With `fee_in_quote` the buyer's fee is in the quote asset, as the seller's always is, and was frozen too. `rebate`
    is what the maker gets of the taker's fee.
    """

    sequence: int
    taker: Order
    buyer: Order
    seller: Order
    price: int
    quantity: int
    notional: int
    buyer_fee: int
    seller_fee: int
    buyer_unfrozen: int
    rebate: int = 0
    fee_in_quote: bool = False

    @property
    def maker(self) -> Order:
        return self.seller if self.taker is self.buyer else self.buyer

    def taker_fee_asset(self, base: str, quote: str) -> str:
        """The asset of the taker's fee, and so of the rebate."""
        return quote if self.fee_in_quote or self.taker is self.seller else base


class Terms(NamedTuple):
    """What of an extended order may change while it is active, as it is after an event. Amounts in units.

    A copy, because the order may have been changed again when the event is published.
    """

    price: int | None
    quantity: int | None
    stop_price: int | None
    display_quantity: int | None
    expires_at: object
    is_triggered: bool
    prevented: int
    prevented_notional: int


class Event(NamedTuple):
    """One step in an order's life, with the order's state after it. `released` moves from frozen to available.

    `previous` is the status before it. `terms` is None of a plain order, whose terms never change.
    """

    sequence: int
    order: Order
    status: Status
    reason: Reason | None
    active: bool
    filled: int
    filled_notional: int
    released: int
    trade: Trade | None
    previous: Status = Status.PENDING
    terms: Terms | None = None


class Outcome(NamedTuple):
    """All that one command changed. `finished` is false for a taker that goes on first in the next batch.

    `order` is what an amend put in the place of the order that it names, `holder` the other order of its group, which
    has other funds frozen now and no event that says so.
    """

    events: list[Event]
    trades: list[Trade]
    finished: bool = True
    order: Order | None = None
    holder: Order | None = None


def terms_of(order: Order) -> Terms:
    """The order's terms as they are now, with the quantity that the client knows."""
    quantity = None if order.quantity is None else order.quantity + order.prevented
    return Terms(
        *(order.price, quantity, order.stop_price, order.display_quantity, order.expires_at),
        *(order.is_triggered, order.prevented, order.prevented_notional),
    )
