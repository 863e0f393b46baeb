"""What the twin knows of an order, of a trade and of an event."""

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

ZERO = Decimal(0)
BASE, QUOTE = "base", "quote"


class NaiveTrade(NamedTuple):
    """A trade. Buyer and seller are order ids. The rebate is the maker's, in the asset in which the taker pays."""

    buyer: int
    seller: int
    price: Decimal
    quantity: Decimal
    buyer_fee: Decimal
    seller_fee: Decimal
    taker_side: str
    rebate: Decimal = ZERO


class NaiveEvent(NamedTuple):
    """One step in an order's life, with the state after it. `trade` is a fill's place in the exchange's `trades`.

    The reason may be the event's alone: AMENDED, AMEND_REFUSED, TRIGGERED, and SELF_TRADE of a part.
    """

    order: int
    status: str
    reason: str | None
    active: bool
    filled: Decimal
    trade: int | None


@dataclass(eq=False)
class NaiveOrder:
    id: int
    user: object
    side: str
    price: Decimal | None = None  # None is MARKET, or a stop that becomes MARKET
    quantity: Decimal | None = None  # None is a MARKET BUY by quote quantity
    quote_quantity: Decimal | None = None
    # The most that a MARKET BUY by quantity may spend; None is what its user has available when it begins.
    spend_limit: Decimal | None = None
    price_band: Decimal | None = None  # a fraction; None is without a band
    time_in_force: str = "GTC"
    post_only: bool = False
    stp: str = "EXPIRE_TAKER"
    maker_rate: Decimal = ZERO
    taker_rate: Decimal = ZERO
    fee_in_quote: bool = False  # of a BUY; a SELL pays in quote anyway
    # What it waits for: STOP, TAKE_PROFIT or TRAILING; None is an order that waits for nothing.
    stop: str | None = None
    stop_price: Decimal | None = None
    trailing_offset: Decimal | None = None
    display: Decimal | None = None  # of an iceberg
    meets: int | None = None  # the one order that it trades with, if it is there
    group: int | None = None  # both legs of an OCO have the same

    filled: Decimal = ZERO
    spent: Decimal = ZERO
    # What DECREMENT took: of the quantity, and of a quote quantity.
    prevented: Decimal = ZERO
    prevented_spending: Decimal = ZERO
    paid_in_fees: Decimal = ZERO  # of what it spends: by a BUY that pays its fees in quote
    tip: Decimal | None = None  # what is visible of an iceberg that rests
    extreme: Decimal | None = None  # the highest or the lowest last price since a TRAILING stop was accepted
    sequence: int | None = None  # the number of its first event
    moved: int | None = None  # the number of the event that gave it another place in time
    frozen: Decimal = ZERO
    status: str = "PENDING"
    reason: str | None = None
    active: bool = True

    @property
    def is_buy(self) -> bool:
        return self.side == "BUY"

    @property
    def pays_with(self) -> str:
        return QUOTE if self.is_buy else BASE

    @property
    def limit(self) -> Decimal:
        assert self.price is not None
        return self.price

    @property
    def place(self) -> int:
        """Its time priority: at one price the smallest number trades first."""
        place = self.sequence if self.moved is None else self.moved
        assert place is not None
        return place

    @property
    def rest(self) -> Decimal:
        """What neither traded nor was prevented."""
        return Decimal("Infinity") if self.quantity is None else self.quantity - self.filled - self.prevented

    @property
    def visible(self) -> Decimal:
        """What a taker meets of it at once."""
        return self.rest if self.tip is None else self.tip

    @property
    def budget(self) -> Decimal | None:
        """What is left of a quote quantity."""
        if self.quote_quantity is None:
            return None
        return self.quote_quantity - self.spent - self.paid_in_fees - self.prevented_spending

    @property
    def was_prevented(self) -> bool:
        return self.prevented > 0

    @property
    def trigger(self) -> Decimal | None:
        """The price that it waits for. A TRAILING stop has none before the first trade."""
        if self.stop != "TRAILING":
            return self.stop_price
        if self.extreme is None or self.trailing_offset is None:
            return None
        return self.extreme + self.trailing_offset if self.is_buy else self.extreme - self.trailing_offset

    @property
    def waits_for_a_rise(self) -> bool:
        return self.is_buy != (self.stop == "TAKE_PROFIT")

    def is_reached_by(self, price: Decimal | None) -> bool:
        if price is None or self.trigger is None:
            return False
        return price >= self.trigger if self.waits_for_a_rise else price <= self.trigger
