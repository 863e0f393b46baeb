"""The checks of one market's events, in their order: their numbers, the lifecycle, and the trade of each fill."""

from collections import deque
from collections.abc import Iterable

from audit.checks import Check, Report
from audit.reference_data import ReferenceData
from audit.rows import EventRow, OrderRow, TradeRow
from audit.scope import Progress, Scope
from audit.trades import Tape
from core.money import plain_units
from core.types import TRANSITIONS, MarketStatus, Reason, Status
from orders.terms_text import parse_terms

_LEGAL = {(str(before), str(after)) for before, allowed in TRANSITIONS.items() for after in allowed}
_ACTIVE = (Status.WAITING.value, Status.TRIGGERED.value, Status.OPEN.value, Status.PARTIALLY_FILLED.value)
# Reasons that an event may have while its order goes on.
_PASSING = (None, Reason.AMENDED, Reason.AMEND_REFUSED, Reason.TRIGGERED, Reason.SELF_TRADE)
# What an order does only in a market that trades; in an auction it may come to rest.
_BEGINS = (Status.WAITING, Status.TRIGGERED, Status.OPEN)
_ROLES = {"taker", "maker"}


class Timeline:
    """Follows each order from event to event. `missing` holds each trade until the events of both its orders came."""

    def __init__(self, report: Report, data: ReferenceData, scope: Scope) -> None:
        self.report, self.data, self.scope, self.market = report, data, scope, scope.market
        self.tape = Tape(report, data, scope)
        self.expected, self.counted = scope.first, 0
        self.missing: dict[int, tuple[TradeRow, set[str]]] = {}
        self.status = MarketStatus.TRADING.value
        self.status_changes = deque(sorted(self.market.changes, key=lambda change: (change.sequence, change.id)))

    def run(self) -> None:
        trades = self.scope.trades()
        trade = next(trades, None)
        for event in self.scope.events():
            self._follow_status(event)
            while trade is not None and trade.sequence <= event.sequence:
                self._add_trade(trade)
                trade = next(trades, None)
            self._check_event(event)
        if trade is not None:
            self._add_trade(trade)
        for rest in trades:
            self._add_trade(rest)
        self.tape.finish()
        self._finish()

    def name(self, event: EventRow) -> str:
        return f"event {self.market.symbol}-{event.sequence}"

    def _add_trade(self, trade: TradeRow) -> None:
        self.tape.add(trade)
        self.missing[trade.sequence] = (trade, set(_ROLES))

    def _check_event(self, event: EventRow) -> None:
        self.counted += 1
        if event.sequence != self.expected:
            self.report.add(Check.DENSE, "a gap", [self.name(event)], self.expected, event.sequence)
        self.expected = event.sequence + 1
        if not self._may_happen(event):
            message = f"happened while the market was {self.status}"
            self.report.add(Check.HALTED, message, [self.name(event)], "cancels and refusals", event.status)
        order = self.scope.orders.get(event.order_id)
        if order is None:
            message = f"names order {event.order_id}, which does not exist in this market"
            self.report.add(Check.ROWS, message, [self.name(event)])
            return
        if event.user_id != order.user_id:
            self.report.add(Check.ROWS, "another user's order", [self.name(event)], order.user_id, event.user_id)
        progress = self.scope.progress.setdefault(order.id, Progress())
        self._check_step(event, order, progress)
        self._check_fill(event, order, progress)
        progress.follow(event)

    def _follow_status(self, event: EventRow) -> None:
        """Set the market's status before the event. All fills of an opening come before the market trades."""
        while self.status_changes and self.status_changes[0].sequence <= event.sequence:
            self.status = self.status_changes.popleft().status
        if event.reason in (Reason.AMENDED, Reason.TRIGGERED):
            # An order that was a taker before may begin again.
            self.tape.taker_id = None

    def _may_happen(self, event: EventRow) -> bool:
        if self.status == MarketStatus.TRADING or event.reason == Reason.AMEND_REFUSED:
            return True
        if self.status == MarketStatus.AUCTION:
            return event.status not in (Status.WAITING, Status.TRIGGERED) or event.reason == Reason.AMENDED
        return event.trade_sequence is None and event.status not in _BEGINS

    def _check_step(self, event: EventRow, order: OrderRow, before: Progress) -> None:
        rows = (self.name(event), order.name)
        if event.reason == Reason.AMEND_REFUSED:
            found, left = (event.status, bool(event.active)), (before.status, bool(before.active))
            if found != left:
                self.report.add(Check.LIFECYCLE, "a refused amend changed it", rows, left, found)
            return
        if not before.active:
            self.report.add(Check.LIFECYCLE, "comes after the order's end", rows, before.status, event.status)
        elif (before.status, event.status) not in _LEGAL:
            self.report.add(Check.LIFECYCLE, "a step that is not allowed", rows, f"from {before.status}", event.status)
        # A reason or a final status closes an order.
        active = event.status in _ACTIVE and event.reason in _PASSING
        if active != bool(event.active):
            self.report.add(Check.LIFECYCLE, f"{event.status} with reason {event.reason}", rows, active, event.active)

    def _check_fill(self, event: EventRow, order: OrderRow, before: Progress) -> None:
        step = (event.filled_quantity - before.filled, event.filled_notional - before.notional)
        name = self.name(event)
        if event.trade_sequence is None:
            if step != (0, 0):
                self.report.add(Check.FILLS, "filled without a trade", (name, order.name), "nothing", _plain(step))
            return
        trade, missing = self.missing.get(event.trade_sequence, (None, set()))
        role = None if trade is None else _role(order, trade)
        if trade is None or role not in missing:
            message = f"trade {self.market.symbol}-{event.trade_sequence} does not exist, or is not of this order"
            self.report.add(Check.FILLS, message, (name, order.name))
            return
        if step != (trade.quantity, trade.notional):
            expected = _plain((trade.quantity, trade.notional))
            self.report.add(Check.FILLS, "filled another amount", (name, order.name), expected, _plain(step))
        if role == "taker" and event.sequence != trade.sequence:
            self.report.add(Check.FILLS, "the taker's event has not its trade's number", [name], trade.sequence)
        self._check_limit(event, order, trade, role == "maker")
        missing.remove(role)
        if not missing:
            del self.missing[trade.sequence]

    def _check_limit(self, event: EventRow, order: OrderRow, trade: TradeRow, is_maker: bool) -> None:
        """Check the trade's price against that of the order then, which may have been amended since."""
        price = order.price if order.placed_price is None else order.placed_price
        if event.terms is not None:
            price = parse_terms(event.terms).price
        if price is None:
            return
        rows, sign = (self.tape.name(trade), order.name), 1 if order.side == "BUY" else -1
        if trade.price * sign > price * sign:
            self.report.add(Check.LIMITS, "beyond the limit", rows, plain_units(price), plain_units(trade.price))
        elif is_maker and trade.price != price and not self.market.is_in_auction(trade.sequence):
            self.report.add(
                Check.LIMITS, "not at the maker's price", rows, plain_units(price), plain_units(trade.price)
            )

    def _finish(self) -> None:
        for trade, missing in self.missing.values():
            roles = " and ".join(sorted(missing))
            self.report.add(Check.FILLS, f"no event of the {roles}", [self.tape.name(trade)], "two events", "fewer")
        self.report.count((Check.DENSE, Check.LIFECYCLE, Check.FILLS, Check.HALTED), self.counted)
        self._compare_orders(self.scope.followed_orders())
        if self.market.next_sequence != self.expected:
            book = f"book {self.market.symbol}"
            self.report.add(Check.NEXT, "next sequence", [book], self.expected, self.market.next_sequence)
        self.report.count([Check.NEXT], 1)

    def _compare_orders(self, orders: Iterable[OrderRow]) -> None:
        counted = 0
        for order in orders:
            counted += 1
            last = self.scope.progress.get(order.id) or Progress()
            state = (order.status, order.reason, order.active, order.filled_quantity, order.filled_notional)
            after_last_event = (last.status, last.reason, bool(last.active), last.filled, last.notional)
            if state != after_last_event:
                self.report.add(
                    Check.STATE,
                    "order and its last event differ",
                    [order.name],
                    _state(after_last_event),
                    _state(state),
                )
            if order.sequence != last.first:
                self.report.add(Check.BIRTH, "sequence", [order.name], last.first, order.sequence)
            traded, filled = (last.traded, last.turnover), (order.filled_quantity, order.filled_notional)
            if traded != filled:
                self.report.add(Check.TRADED, "filled is not its trades", [order.name], _plain(traded), _plain(filled))
        self.report.count((Check.STATE, Check.BIRTH, Check.TRADED), counted)


def _role(order: OrderRow, trade: TradeRow) -> str | None:
    """The order's role in the trade; None if the trade is not of this order."""
    if order.id != (trade.buy_order_id if order.side == "BUY" else trade.sell_order_id):
        return None
    return "taker" if order.side == trade.taker_side else "maker"


def _plain(amounts: tuple[int, int]) -> str:
    quantity, notional = amounts
    return f"{plain_units(quantity)} for {plain_units(notional)}"


def _state(state: tuple[str, str | None, bool, int, int]) -> str:
    status, reason, active, filled, notional = state
    return f"{status} {reason or ''} {'active' if active else 'closed'} {_plain((filled, notional))}"
