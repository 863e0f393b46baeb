"""The order book of one market: price-time priority, one command at a time.

Contract
- Orders rest in two ladders, best price first and, at one price, the smallest `sequence` first. A trade happens at the
  resting order's price. A book is never crossed between commands.
- `place` and `cancel` change the book and the orders they touch, and return everything that changed as an Outcome of
  events and trades. The caller stores the outcome in one transaction or throws the whole book away: there is no undo.
- Every event takes the market's next sequence number, without gaps. An order's own sequence is that of its first
  event, and is its time priority. A trade carries the sequence of its taker's fill event.
- A taker that meets more than `max_steps` resting orders stops there, unfinished: it must be placed again before any
  other command, and goes on where it stopped. Nothing overtakes it, so what was checked when it began still holds.
- Fees are taken from the asset received, at the order's own rates, rounded up at that asset's scale.
- The taker's self-trade prevention decides when it meets an order of its own user.

Known limitations: no order that is not priced rests (no pegs, no stops); an order never grows.
"""

from collections.abc import Iterable

from core.ladder import DepthLevel, Ladder
from core.money import fee, notional
from core.types import (
    Event,
    Order,
    OrderType,
    Outcome,
    Reason,
    Rules,
    SelfTradePrevention,
    Side,
    Status,
    TimeInForce,
    Trade,
)

_STOPS_AT_OWN = (SelfTradePrevention.EXPIRE_TAKER, SelfTradePrevention.EXPIRE_BOTH)
# What every order asks for, under names of this module: Python 3.11 looks a member up in its enumeration slowly.
_BUY, _MARKET, _GTC, _FOK = Side.BUY, OrderType.MARKET, TimeInForce.GTC, TimeInForce.FOK
_OPEN, _PARTIALLY_FILLED, _FILLED = Status.OPEN, Status.PARTIALLY_FILLED, Status.FILLED
_SELF_TRADE, _NO_PREVENTION = Reason.SELF_TRADE, SelfTradePrevention.NONE


class Book:
    """The resting orders of one market and the number of its next event."""

    def __init__(self, rules: Rules, next_sequence: int = 1, resting: Iterable[Order] = ()) -> None:
        """Rebuild a book from its resting orders, in any order. Raises ValueError if they are crossed. O(n log n)."""
        self.rules = rules
        self.next_sequence = next_sequence
        self.ladders = {side: Ladder(side) for side in Side}
        self.opposite = {side: self.ladders[side.opposite] for side in Side}
        self.orders: dict[int, Order] = {}
        for order in sorted(resting, key=lambda order: order.sequence or 0):
            self._rest(order)
        if self.is_crossed():
            raise ValueError(f"crossed: best bid {self.best_price(Side.BUY)} >= best ask {self.best_price(Side.SELL)}")

    def place(self, taker: Order, max_steps: int | None = None) -> Outcome:
        """Apply a new order: match what crosses, then rest or close the remainder. O(orders met x log levels)."""
        return _Placing(self, taker, max_steps).run()

    def cancel(self, order_id: int, reason: Reason = Reason.USER_CANCELLED) -> Outcome:
        """Take a resting order out. An order that no longer rests is left alone: the outcome is empty. O(1)."""
        order = self.orders.get(order_id)
        if order is None:
            return Outcome([], [])
        self._unrest(order)
        return Outcome([self._close(order, Status.CANCELLED, reason)], [])

    def refuse(self, order: Order, status: Status, reason: Reason) -> Outcome:
        """Close an order that is not in the book, its reserved funds released. O(1)."""
        assert order.id not in self.orders
        return Outcome([self._close(order, status, reason)], [])

    def best_price(self, side: Side) -> int | None:
        return self.ladders[side].best_price()

    def depth(self, side: Side, limit: int) -> list[DepthLevel]:
        return self.ladders[side].depth(limit)

    def is_crossed(self) -> bool:
        bid, ask = self.best_price(Side.BUY), self.best_price(Side.SELL)
        return bid is not None and ask is not None and bid >= ask

    def check(self) -> None:
        """Assert every invariant of the book. O(orders)."""
        for ladder in self.ladders.values():
            ladder.check()
        assert not self.is_crossed(), (self.best_price(Side.BUY), self.best_price(Side.SELL))
        assert sum(1 for ladder in self.ladders.values() for _ in ladder) == len(self.orders)

    def _rest(self, order: Order) -> None:
        self.ladders[order.side].add(order)
        self.orders[order.id] = order

    def _unrest(self, order: Order) -> None:
        self.ladders[order.side].remove(order)
        del self.orders[order.id]

    def _close(self, order: Order, status: Status, reason: Reason | None) -> Event:
        order.active = False
        order.reason = reason
        return self._event(order, status)

    def _event(self, order: Order, status: Status, trade: Trade | None = None) -> Event:
        """The order's next event, with the next sequence; a closed order's reserved funds are released with it."""
        sequence = self.next_sequence
        self.next_sequence += 1
        if order.sequence is None:
            order.sequence = sequence
        order.status = status
        released = 0
        if not order.active:
            released, order.frozen = order.frozen, 0
        return Event(
            sequence, order, status, order.reason, order.active, order.filled, order.filled_notional, released, trade
        )


class _Placing:
    """One taker on its way through the book."""

    __slots__ = ("book", "events", "opposite", "steps_left", "stopped", "taker", "trades")

    def __init__(self, book: Book, taker: Order, max_steps: int | None) -> None:
        assert taker.id not in book.orders and taker.active
        self.book = book
        self.taker = taker
        self.steps_left = max_steps
        self.opposite = book.opposite[taker.side]
        self.events: list[Event] = []
        self.trades: list[Trade] = []
        # Why the taker stops before its quantity is filled; None while it may go on or rest.
        self.stopped: Reason | None = None

    def run(self) -> Outcome:
        taker = self.taker
        if (taker.post_only or taker.time_in_force is _FOK) and not self._admitted():
            return Outcome(self.events, self.trades)
        while self.stopped is None and taker.filled != taker.quantity:
            maker = self.opposite.met_by(taker.price)
            if maker is None:
                break
            if self.steps_left == 0:
                return Outcome(self.events, self.trades, finished=False)
            if self.steps_left is not None:
                self.steps_left -= 1
            self._meet(maker)
        if taker.active:
            self._end()
        return Outcome(self.events, self.trades)

    def _admitted(self) -> bool:
        """Refuse the orders that must not trade in part, or at all; one that goes on was admitted before."""
        taker = self.taker
        if taker.status is not Status.PENDING:
            return True
        if taker.post_only and self.opposite.met_by(taker.price) is not None:
            self._close(Status.REJECTED, Reason.WOULD_TAKE)
        elif taker.time_in_force is _FOK and not self._fillable():
            self._close(Status.EXPIRED, Reason.FOK_NOT_FILLABLE)
        return taker.active

    def _fillable(self) -> bool:
        """Whether all of a FOK order would trade, not counting what self-trade prevention would remove."""
        taker = self.taker
        assert taker.quantity is not None
        wanted = taker.quantity
        for maker in self.opposite:
            if not self._crosses(maker):
                return False
            if self._is_own(maker):
                if taker.self_trade_prevention in _STOPS_AT_OWN:
                    return False
                continue
            assert maker.quantity is not None
            wanted -= maker.quantity - maker.filled
            if wanted <= 0:
                return True
        return False

    def _crosses(self, maker: Order) -> bool:
        assert maker.price is not None
        return self.opposite.accepts(self.taker.price, maker.price)

    def _is_own(self, maker: Order) -> bool:
        taker = self.taker
        return maker.user_id == taker.user_id and taker.self_trade_prevention is not _NO_PREVENTION

    def _meet(self, maker: Order) -> None:
        taker = self.taker
        assert maker.price is not None and maker.quantity is not None
        quantity = maker.quantity - maker.filled
        if taker.quantity is not None and taker.quantity - taker.filled < quantity:
            quantity = taker.quantity - taker.filled
        if taker.budget is not None:
            quantity = self._affordable(taker.budget, maker.price, quantity)
        if quantity == 0:
            # Before self-trade prevention: a taker whose budget is spent meets nobody, not even itself.
            self.stopped = Reason.INSUFFICIENT_FUNDS
        elif self._is_own(maker):
            self._prevent(maker)
        else:
            self._trade(maker, maker.price, quantity)

    def _prevent(self, maker: Order) -> None:
        mode = self.taker.self_trade_prevention
        if mode is not SelfTradePrevention.EXPIRE_TAKER:
            self.events += self.book.cancel(maker.id, Reason.SELF_TRADE).events
        if mode is not SelfTradePrevention.EXPIRE_MAKER:
            self.stopped = Reason.SELF_TRADE

    def _affordable(self, budget: int, price: int, quantity: int) -> int:
        """How much of the quantity the taker's budget still buys at the price, in whole lots."""
        left = budget - self.taker.filled_notional
        if notional(price, quantity) <= left:
            return quantity
        lot = self.book.rules.lot_size
        return left // notional(price, lot) * lot

    def _trade(self, maker: Order, price: int, quantity: int) -> None:
        book, taker = self.book, self.taker
        value = notional(price, quantity)
        if taker.side is _BUY:
            buyer, buyer_rate, seller, seller_rate = taker, taker.taker_fee_rate, maker, maker.maker_fee_rate
        else:
            buyer, buyer_rate, seller, seller_rate = maker, maker.maker_fee_rate, taker, taker.taker_fee_rate
        unfrozen = min(value, buyer.frozen) if buyer.price is None else notional(buyer.price, quantity)
        buyer_fee = fee(quantity, buyer_rate, book.rules.base_step)
        seller_fee = fee(value, seller_rate, book.rules.quote_step)
        # By position: nine names would take as long again as the whole object.
        trade = Trade(book.next_sequence, maker, taker, price, quantity, value, buyer_fee, seller_fee, unfrozen)
        self.trades.append(trade)
        buyer.frozen -= unfrozen
        seller.frozen -= quantity
        self._fill(taker, trade)
        if maker.filled + quantity == maker.quantity:
            book._unrest(maker)
        else:
            self.opposite.reduce(maker, quantity)
        self._fill(maker, trade)

    def _fill(self, order: Order, trade: Trade) -> None:
        order.filled += trade.quantity
        order.filled_notional += trade.notional
        order.active = order.filled != order.quantity
        status = _PARTIALLY_FILLED if order.active else _FILLED
        self.events.append(self.book._event(order, status, trade))

    def _end(self) -> None:
        """The taker met all it could: rest what is left of it, or close it and say why."""
        taker = self.taker
        if self.stopped is _SELF_TRADE:
            self._close(Status.CANCELLED, Reason.SELF_TRADE)
        elif taker.type is _MARKET:
            self._end_market()
        elif taker.time_in_force is _GTC:
            self.book._rest(taker)
            if not taker.filled:
                self.events.append(self.book._event(taker, _OPEN))
        else:
            self._close(Status.PARTIALLY_FILLED if taker.filled else Status.EXPIRED, Reason.IOC_REMAINDER)

    def _end_market(self) -> None:
        """A budget that no longer buys a lot is spent: that order is filled, its small change released."""
        taker = self.taker
        reason = self.stopped or Reason.NO_LIQUIDITY
        if not taker.filled:
            self._close(Status.REJECTED, reason)
        elif taker.quantity is None and (reason is not Reason.NO_LIQUIDITY or taker.budget == taker.filled_notional):
            self._close(Status.FILLED, None)
        else:
            self._close(Status.PARTIALLY_FILLED, reason)

    def _close(self, status: Status, reason: Reason | None) -> None:
        self.events.append(self.book._close(self.taker, status, reason))
