"""One taker's way through the book: which orders it meets, what it trades, and what becomes of its remainder.

Contract
- A trade happens at the resting order's price. Each order pays its fee in the asset that it receives, at its own rate,
  rounded up at that asset's scale. `fees` has those who pay in quote, and rebates.
- The taker's self-trade prevention decides what happens when it meets an order of its own user (`prevention`).
- Of an iceberg it meets the tip, and the next tip once it has met all others at that price.
- A taker with a price band stops before an order beyond it. The furthest price is fixed when the taker begins.
- A taker that names an order meets that one alone (`named`).
- A taker that would meet more than `max_steps` resting orders stops there, unfinished. The caller must place it again
  before any other command, and it goes on where it stopped. The book does not change in between, so the checks that
  were made when the taker began still hold.
"""

from core.auction import collect
from core.band import furthest_price, twice_reference
from core.book import Book
from core.fees import charge, most_notional, released_by_fill
from core.kinds import KINDS
from core.ladder import hidden, visible
from core.money import fee, notional
from core.named import NamedOrder
from core.outcome import Event, Outcome, Trade
from core.prevention import decrement
from core.types import Order, Phase, Reason, SelfTradePrevention, Side, Status, TimeInForce

# Those with which a taker that meets its own order cannot trade all of its quantity any more.
_STOPS_AT_OWN = (
    SelfTradePrevention.EXPIRE_TAKER,
    SelfTradePrevention.EXPIRE_BOTH,
    SelfTradePrevention.DECREMENT,
)
# Under names of this module, because Python 3.11 takes long to find a member of an enumeration.
_BUY, _GTC, _GTD, _FOK = Side.BUY, TimeInForce.GTC, TimeInForce.GTD, TimeInForce.FOK
_TAKING, _CLOSED = Phase.TAKING, Phase.CLOSED
_OPEN = Status.OPEN
# An order that rests with one of these has had no event yet that shows it.
_NEW = (Status.PENDING, Status.TRIGGERED)
_SELF_TRADE, _NO_PREVENTION = Reason.SELF_TRADE, SelfTradePrevention.NONE
_INSUFFICIENT_FUNDS, _PRICE_PROTECTION = Reason.INSUFFICIENT_FUNDS, Reason.PRICE_PROTECTION


def place(book: Book, taker: Order, max_steps: int | None = None) -> Outcome:
    """Apply a new order: trade with the orders that it crosses, then rest or close. O(orders met x log levels)."""
    if book.collects:
        return collect(book, taker)
    return Taker(book, taker, max_steps).run()


class Taker:
    """One taker on its way through the book."""

    __slots__ = ("book", "events", "limit", "opposite", "steps_left", "stopped", "taker", "trades")

    def __init__(self, book: Book, taker: Order, max_steps: int | None) -> None:
        assert taker.id not in book.orders and taker.phase is _TAKING
        self.book = book
        self.taker = taker
        self.steps_left = max_steps
        side = book.opposite[taker.side]
        self.opposite = side if taker.meets is None else NamedOrder(book, side, taker.meets)
        self.events: list[Event] = []
        self.trades: list[Trade] = []
        # Why the taker stops before its quantity is filled; None while it may go on or rest.
        self.stopped: Reason | None = None
        # The furthest price that it accepts: its own, or that of its band if it is nearer. None: any.
        self.limit = taker.price if taker.price_band is None else self._protected(taker.price_band)

    def run(self) -> Outcome:
        taker = self.taker
        if (taker.post_only or taker.time_in_force is _FOK) and not self._admitted():
            return Outcome(self.events, self.trades)
        while self.stopped is None and taker.filled != taker.quantity:
            maker = self.opposite.met_by(self.limit)
            if maker is None:
                break
            if self.steps_left == 0:
                return Outcome(self.events, self.trades, finished=False)
            if self.steps_left is not None:
                self.steps_left -= 1
            self._meet(maker)
        if taker.phase is _TAKING:
            self._end()
        return Outcome(self.events, self.trades)

    def _protected(self, band: int) -> int:
        """The limit with the band. An unfinished taker keeps the protection price of its first transaction."""
        taker, book = self.taker, self.book
        if taker.protection_price is None:
            twice = twice_reference(book.last_price, book.best_price(Side.BUY), book.best_price(Side.SELL))
            taker.protection_price = furthest_price(taker.side, twice, band)
        if taker.price is None:
            return taker.protection_price
        nearer = min if taker.side is _BUY else max
        return nearer(taker.price, taker.protection_price)

    def _admitted(self) -> bool:
        """Whether the taker may trade. Closes a FOK that cannot trade in full, and a post-only order that would take.

        An unfinished taker was admitted in its first transaction.
        """
        taker = self.taker
        if taker.status not in _NEW:
            return True
        if taker.post_only and self.opposite.met_by(taker.price) is not None:
            self._close(Status.REJECTED, Reason.WOULD_TAKE)
        elif taker.time_in_force is _FOK and not self._fillable():
            self._close(Status.EXPIRED, Reason.FOK_NOT_FILLABLE)
        return taker.phase is _TAKING

    def _fillable(self) -> bool:
        """Whether all of a FOK order can trade.

        Orders beyond its band, and those that self-trade prevention would remove, do not count. They are looked at one
        by one only where the sums of the levels suffice: many small orders would else make each FOK order expensive.
        What icebergs hide is reached after all else at its price, so an own order there may stand before it.
        """
        taker = self.taker
        assert taker.quantity is not None
        missing, behind, price = taker.quantity, 0, None
        if not self.opposite.holds(missing, self.limit):
            return False
        for maker in self.opposite:
            if maker.price != price:
                missing, behind, price = missing - behind, 0, maker.price
            if missing <= 0 or not self._crosses(maker):
                break
            if self._is_own(maker):
                if taker.self_trade_prevention in _STOPS_AT_OWN:
                    return False
                continue
            missing -= visible(maker)
            behind += hidden(maker)
            if missing <= 0:
                break
        return missing - behind <= 0

    def _crosses(self, maker: Order) -> bool:
        assert maker.price is not None
        return self.opposite.accepts(self.limit, maker.price)

    def _is_own(self, maker: Order) -> bool:
        taker = self.taker
        return maker.user_id == taker.user_id and taker.self_trade_prevention is not _NO_PREVENTION

    def _meet(self, maker: Order) -> None:
        taker = self.taker
        assert maker.price is not None and maker.quantity is not None
        quantity = maker.quantity - maker.filled if maker.tip is None else maker.tip
        if taker.quantity is not None and taker.quantity - taker.filled < quantity:
            quantity = taker.quantity - taker.filled
        met = quantity
        if taker.spend_limit is not None:
            quantity = self._affordable(maker.price, quantity)
        if quantity == 0:
            # Before self-trade prevention, because a taker that has spent its limit meets no further order.
            self.stopped = _INSUFFICIENT_FUNDS
        elif self._is_own(maker):
            # What a quote quantity does not pay for is not taken off the maker; of a quantity nothing is paid.
            self._prevent(maker, maker.price, quantity if taker.quantity is None else met)
        else:
            self._trade(maker, maker.price, quantity)

    def _prevent(self, maker: Order, price: int, quantity: int) -> None:
        mode = self.taker.self_trade_prevention
        if mode is SelfTradePrevention.DECREMENT:
            for order in (maker, self.taker):
                self.events += decrement(self.book, order, quantity, price)
            if self.taker.phase is _CLOSED:
                self.stopped = _SELF_TRADE
            return
        if mode is not SelfTradePrevention.EXPIRE_TAKER:
            self.events += self.book.cancel(maker.id, Reason.SELF_TRADE).events
        if mode is not SelfTradePrevention.EXPIRE_MAKER:
            self.stopped = Reason.SELF_TRADE

    def _affordable(self, price: int, quantity: int) -> int:
        """How much of the quantity the rest of the spend limit buys at the price, in whole lots."""
        left = self._unspent()
        if notional(price, quantity) <= left:
            return quantity
        lot = self.book.rules.lot_size
        return left // notional(price, lot) * lot

    def _unspent(self) -> int:
        """The notional that the rest of the spend limit pays for."""
        return most_notional(self.taker, self.book.rules.quote_step) - self.taker.filled_notional

    def _trade(self, maker: Order, price: int, quantity: int) -> None:
        book, taker = self.book, self.taker
        rules, sequence = book.rules, book.next_sequence
        value = notional(price, quantity)
        if taker.side is _BUY:
            buyer, buyer_rate, seller, seller_rate = taker, taker.taker_fee_rate, maker, maker.maker_fee_rate
        else:
            buyer, buyer_rate, seller, seller_rate = maker, maker.maker_fee_rate, taker, taker.taker_fee_rate
        if buyer_rate < 0 or seller_rate < 0 or buyer.fee_in_quote:
            charges = charge(rules, taker, buyer, buyer_rate, seller_rate, quantity, value)
            charged = (charges.buyer_fee, charges.seller_fee, charges.unfrozen, charges.rebate, buyer.fee_in_quote)
            trade = Trade(sequence, taker, buyer, seller, price, quantity, value, *charged)
            unfrozen = charges.unfrozen
        else:
            unfrozen = value if buyer.price == price else released_by_fill(buyer, quantity, value)
            buyer_fee = fee(quantity, buyer_rate, rules.base_step)
            seller_fee = fee(value, seller_rate, rules.quote_step)
            # By position, because ten keywords take as long as the whole object.
            trade = Trade(sequence, taker, buyer, seller, price, quantity, value, buyer_fee, seller_fee, unfrozen)
        self.trades.append(trade)
        book.last_price = price
        buyer.frozen -= unfrozen
        seller.frozen -= quantity
        self.events.append(book.fill(taker, trade))
        self.events.append(book.fill_resting(maker, trade))
        if taker.group_id is not None or maker.group_id is not None:
            for order in (taker, maker):
                self.events += book.end_group(order)

    def _end(self) -> None:
        """Rest or close a taker that meets no further order."""
        taker = self.taker
        if self.stopped is None and self.limit != taker.price and self.opposite.met_by(taker.price) is not None:
            self.stopped = _PRICE_PROTECTION
        if self.stopped is _SELF_TRADE:
            self._close(Status.CANCELLED, Reason.SELF_TRADE)
        elif not KINDS[taker.type].rests:
            self._end_market()
        elif self.stopped is _PRICE_PROTECTION:
            self._close(Status.PARTIALLY_FILLED if taker.filled else Status.REJECTED, _PRICE_PROTECTION)
        elif taker.time_in_force is _GTC or taker.time_in_force is _GTD:
            self.book.rest(taker)
            if taker.status in _NEW:
                self.events.append(self.book.event(taker, _OPEN))
        else:
            self._close(Status.PARTIALLY_FILLED if taker.filled else Status.EXPIRED, Reason.IOC_REMAINDER)

    def _end_market(self) -> None:
        """Close a taker that never rests.

        A quote quantity is spent when its rest does not buy a lot: the order is then FILLED, and the rest is released.
        But where self-trade prevention took a part of it, it is CANCELLED.
        """
        taker = self.taker
        reason = self.stopped or Reason.NO_LIQUIDITY
        is_spent = taker.quantity is None and (self.stopped is _INSUFFICIENT_FUNDS or not self._unspent())
        if is_spent and taker.prevented:
            self._close(Status.CANCELLED, _SELF_TRADE)
        elif not taker.filled:
            self._close(Status.REJECTED, reason)
        elif is_spent:
            self._close(Status.FILLED, None)
        else:
            self._close(Status.PARTIALLY_FILLED, reason)

    def _close(self, status: Status, reason: Reason | None) -> None:
        self.events += self.book.close(self.taker, status, reason)
