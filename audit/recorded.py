"""The commands of a market's recorded sequence, found by their events: they were deleted when they were applied.

- An order was applied at its first event. Before that event there may be those of makers which its self-trade
  prevention removed, and of other legs that ended with these. Both legs of an OCO are applied with the first of them.
- The event of a cancel, of an expiry, of an amend, of a failure, and of each order that a delisting cancels, is the
  place of its command. To replace an order is to cancel it and to place another one.
- Stops become due and fire by themselves: their TRIGGER commands say nothing that the twin does not know.
- The changes of the trading status have their sequences. The fills with which an auction ends come before the change.
- The spend limit of a MARKET BUY by quantity is read from the order's row, because it came from the available funds of
  one moment. All other funds were checked at intake, so each user of the twin owns more than enough.
- The terms that an order had at first, and those of an amend, are in its events; a plain order that was amended has
  its first ones in its row.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from audit.naive import BASE, QUOTE, NaiveExchange, NaiveOrder
from audit.reference_data import MarketState
from audit.rows import EventRow, OrderRow
from core.money import to_decimal
from core.outcome import Terms
from core.types import CommandKind, MarketStatus, Reason, Status
from orders.terms_text import parse_terms

# More than any user could own.
ENOUGH = Decimal(10) ** 18
_STOPS = {
    "STOP": "STOP",
    "STOP_LIMIT": "STOP",
    "TAKE_PROFIT": "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT": "TAKE_PROFIT",
    "TRAILING_STOP": "TRAILING",
}
# By these reasons an order is closed that the engine had accepted before.
_CANCELS = (Reason.USER_CANCELLED, Reason.DEAD_MAN_SWITCH)
_REFUSALS = (Reason.NOTHING_TO_REPLACE, Reason.INSUFFICIENT_FUNDS, Reason.SIMULATED)


class Unexplained(Exception):
    """No command leads to an event."""


class Recorded:
    """Gives the twin one command after the other."""

    def __init__(
        self, market: MarketState, orders: Mapping[int, OrderRow], events: Sequence[EventRow], twin: NaiveExchange
    ) -> None:
        self.market, self.orders, self.events, self.twin = market, orders, events, twin
        self.status_changes = deque(market.changes)
        self.users: set[int] = set()
        # By order that failed or was refused, perhaps on its way through the book: the number of events before that.
        self.stops = {event.order_id: at for at, event in enumerate(events) if _stops(event)}
        self.ends = sorted(self.stops.values())
        # What is unfinished goes no further than it came.
        self.end = len(events) if market.is_unfinished else None
        # The terms of each order after its first event, and before it was amended the first time.
        self.first_terms: dict[int, Terms] = {}
        # The orders that were to replace another one and were rejected, with the reason: the twin's users own enough.
        self.refused: dict[int, str] = {}
        # And those whose user cancelled an order right before. Nobody was removed from the book for them.
        self.follow_a_cancel: set[int] = set()
        seen: set[int] = set()
        before: EventRow | None = None
        for event in events:
            if event.terms is not None and event.order_id not in self.first_terms:
                self.first_terms[event.order_id] = parse_terms(event.terms)
            if event.order_id not in seen and event.status == Status.REJECTED and event.reason in _REFUSALS:
                self.refused[event.order_id] = event.reason
                if before is not None and (before.reason, before.user_id) == (Reason.USER_CANCELLED, event.user_id):
                    self.follow_a_cancel.add(event.order_id)
            seen.add(event.order_id)
            before = event

    def set_trading_status(self, at: int) -> None:
        """Set the trading status that the market had at this place. Stops may become due by it."""
        sequence = self.events[at].sequence if at < len(self.events) else self.market.next_sequence
        while self.status_changes and self.status_changes[0].sequence <= sequence:
            self.twin.stops_at, self.twin.triggers_until = self.end, self._next_end(at)
            self.twin.status = self.status_changes.popleft().status
            self.twin.look_at_the_last_price()

    def go_on(self, at: int) -> None:
        """Let the twin apply the command whose first event is at this place."""
        twin, event = self.twin, self.events[at]
        twin.triggers_until = self._next_end(at)
        order = self.orders.get(event.order_id)
        if order is None:
            raise Unexplained(f"event {self.market.symbol}-{event.sequence} is of an order that does not exist")
        if _fails(event) or (event.reason == Reason.MARKET_HALTED and order.id in twin.orders):
            self._end(order, event)
        elif twin.due:
            twin.stops_at = self.stops.get(twin.due[0].id, self.end)
            twin.step()
        else:
            twin.stops_at = self.end
            self._give_command(at, order)
            twin.step()
        if len(twin.events) == at:
            raise Unexplained(f"no command leads to event {self.market.symbol}-{event.sequence}")

    def _next_end(self, at: int) -> int | None:
        """An order may have been given up before all that was due had been triggered: the others come behind it. Behind
        the last event they come with the next transaction.
        """
        place = bisect_right(self.ends, at)
        if place < len(self.ends):
            return self.ends[place]
        last = len(self.events) - 1
        return last + 1 if self.ends and self.ends[-1] == last and at >= last else None

    def _end(self, order: OrderRow, event: EventRow) -> None:
        """The engine gives an order up, or refuses it in a market that was halted, perhaps on its way."""
        twin = self.twin
        if order.id not in twin.orders:
            self._place(order)
            twin.queue.clear()
        (twin.fail if _fails(event) else twin.refuse)(order.id)
        # Before anything that is due.
        twin.stops_at = None
        twin.apply_next()

    def _give_command(self, at: int, order: OrderRow) -> None:
        twin, event = self.twin, self.events[at]
        if twin.status == MarketStatus.AUCTION and (event.trade_sequence or event.reason == Reason.PRICE_PROTECTION):
            twin.tick, twin.band = to_decimal(self.market.tick), decimal_or_none(self._opening_band())
            twin.open_now()
        elif order.id not in twin.orders and event.reason == Reason.GTD_EXPIRED:
            # Its time was over before it was taken up.
            self._place(order)
            twin.queue.clear()
            twin.expire(order.id)
        elif order.id not in twin.orders or event.reason == Reason.SELF_TRADE:
            self._place(self._taker(at))
        elif event.reason == Reason.MARKET_DELISTED:
            twin.delist_next()
        elif event.reason in _CANCELS:
            twin.cancel(order.id, event.reason)
        elif event.reason == Reason.GTD_EXPIRED:
            twin.expire(order.id)
        elif event.reason == Reason.AMENDED and event.terms is not None:
            self.twin.stops_at = self.stops.get(order.id, self.end)
            twin.amend(order.id, _changes(twin.orders[order.id], parse_terms(event.terms)))
        elif event.reason == Reason.AMEND_REFUSED:
            twin.refuse_amend(order.id)
        else:
            self._place(self._taker(at))

    def _opening_band(self) -> int | None:
        """The band by which the opening price was limited, of the change to TRADING that follows, or will."""
        if self.status_changes and self.status_changes[0].status == MarketStatus.TRADING:
            return self.status_changes[0].price_band
        opening = (command for command in self.market.commands if command.kind == CommandKind.RESUME)
        return next((command.details.get("priceBand") for command in opening), None)

    def _taker(self, at: int) -> OrderRow:
        """The order that was applied here: the order of the next event that is the first of its order.

        Only the events of makers that it removed may come before. An unfinished taker may have no event yet.
        """
        for place in range(at, len(self.events)):
            event = self.events[place]
            if event.order_id not in self.twin.orders:
                return self.orders[event.order_id]
            if event.reason not in (Reason.SELF_TRADE, Reason.OCO):
                break
        else:
            unfinished = self.orders.get(self.market.unfinished or 0)
            if unfinished is not None and unfinished.id not in self.twin.orders:
                return unfinished
        raise Unexplained(f"no command leads to event {self.market.symbol}-{self.events[at].sequence}")

    def _place(self, order: OrderRow) -> None:
        if order.user_id not in self.users:
            self.users.add(order.user_id)
            for asset in (BASE, QUOTE):
                self.twin.deposit(order.user_id, asset, ENOUGH)
        self.twin.stops_at = self.stops.get(order.id, self.end)
        if order.group_id is not None:
            legs = [self._naive(leg) for leg in self.orders.values() if leg.group_id == order.group_id]
            stop, limit = sorted(legs, key=lambda leg: leg.stop is None)
            self.twin.stops_at = self.stops.get(limit.id, self.twin.stops_at)
            accepted = self.twin.place_oco(stop, limit)
        elif self._is_refused(order):
            accepted = self.twin.place_refused(self._naive(order), self.refused[order.id])
        else:
            accepted = self.twin.place(self._naive(order))
        assert accepted, "the twin's users can pay for everything"

    def _is_refused(self, order: OrderRow) -> bool:
        """Whether it was to replace another one, and could not, or the sandbox was asked to reject it.

        What is matched without a price has a spend limit. A quote quantity always is one: if it was too small for the
        book, it was rejected too, and by the same event.
        """
        reason = self.refused.get(order.id)
        if reason != Reason.INSUFFICIENT_FUNDS:
            return reason is not None
        return order.spend_limit is None or (order.quote_quantity is not None and order.id in self.follow_a_cancel)

    def _naive(self, order: OrderRow) -> NaiveOrder:
        """The order as it was when it was placed."""
        terms = self.first_terms.get(order.id)
        price, quantity, stop_price, display = order.price, order.quantity, order.stop_price, order.display_quantity
        if order.placed_price is not None:
            price, quantity, display = order.placed_price, order.placed_quantity, None
        elif terms is not None:
            price, quantity, stop_price, display = terms[:4]
        return NaiveOrder(
            id=order.id,
            user=order.user_id,
            side=order.side,
            price=decimal_or_none(price),
            quantity=decimal_or_none(quantity),
            quote_quantity=decimal_or_none(order.quote_quantity),
            spend_limit=decimal_or_none(order.spend_limit),
            price_band=decimal_or_none(order.price_band),
            time_in_force=order.time_in_force,
            post_only=bool(order.post_only),
            stp=order.self_trade_prevention,
            maker_rate=to_decimal(order.maker_fee_rate),
            taker_rate=to_decimal(order.taker_fee_rate),
            fee_in_quote=bool(order.fee_in_quote),
            stop=_STOPS.get(order.type),
            stop_price=decimal_or_none(stop_price),
            trailing_offset=decimal_or_none(order.trailing_offset),
            display=decimal_or_none(display),
            group=order.group_id,
            meets=order.meets_id,
        )


def _stops(event: EventRow) -> bool:
    return _fails(event) or event.reason == Reason.MARKET_HALTED


def _fails(event: EventRow) -> bool:
    """Whether its order is given up by it. The refusal of an amend has the status of an order that failed before."""
    return event.status == Status.FAILED and event.reason != Reason.AMEND_REFUSED


def _changes(order: NaiveOrder, terms: Terms) -> dict[str, Any]:
    """The values that an amend changed."""
    values = zip(("price", "quantity", "stop_price", "display"), terms[:4], strict=True)
    return {name: value for name, units in values if (value := decimal_or_none(units)) != getattr(order, name)}


def decimal_or_none(units: int | None) -> Decimal | None:
    return None if units is None else to_decimal(units)
