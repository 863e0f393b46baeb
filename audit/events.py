"""The events of one market in their order, beside its trades: numbered, legal, and each fill a trade."""

from collections import deque
from collections.abc import Iterable

from audit.checks import Check
from audit.findings import Report
from audit.reference_data import ReferenceData
from audit.rows import EventRow, OrderRow, TradeRow
from audit.scope import Progress, Scope
from audit.trades import Tape
from core.money import plain_units
from core.types import TRANSITIONS, MarketStatus, Status

_LEGAL = {(str(before), str(after)) for before, allowed in TRANSITIONS.items() for after in allowed}
_FILLING = (Status.OPEN.value, Status.PARTIALLY_FILLED.value)
_UNTOLD = {"taker", "maker"}


class Timeline:
    """Follows each order from event to event, and remembers a trade until both its orders told of it."""

    def __init__(self, report: Report, data: ReferenceData, part: Scope) -> None:
        self.report, self.data, self.part, self.market = report, data, part, part.market
        self.tape = Tape(report, data, part)
        self.expected, self.seen = part.first, 0
        self.untold: dict[int, tuple[TradeRow, set[str]]] = {}
        self.status = MarketStatus.TRADING.value
        self.switches = deque(sorted(self.market.changes, key=lambda change: (change.sequence, change.id)))

    def run(self) -> None:
        trades = self.part.trades()
        trade = next(trades, None)
        for event in self.part.events():
            while trade is not None and trade.sequence <= event.sequence:
                self._remember(trade)
                trade = next(trades, None)
            self._see(event)
        if trade is not None:
            self._remember(trade)
        for rest in trades:
            self._remember(rest)
        self.tape.finish()
        self._finish()

    def name(self, event: EventRow) -> str:
        return f"event {self.market.symbol}-{event.sequence}"

    def _remember(self, trade: TradeRow) -> None:
        self.tape.see(trade)
        self.untold[trade.sequence] = (trade, set(_UNTOLD))

    def _see(self, event: EventRow) -> None:
        self.seen += 1
        if event.sequence != self.expected:
            self.report.add(Check.DENSE, "a gap", [self.name(event)], self.expected, event.sequence)
        while self.switches and self.switches[0].sequence <= event.sequence:
            self.status = self.switches.popleft().status
        self.expected = event.sequence + 1
        if self.status != MarketStatus.TRADING and (event.trade_sequence is not None or event.status == Status.OPEN):
            message = f"happened while the market was {self.status}"
            self.report.add(Check.HALTED, message, [self.name(event)], "cancels and refusals", event.status)
        order = self.part.orders.get(event.order_id)
        if order is None:
            message = f"names order {event.order_id}, which is not there in this market"
            self.report.add(Check.ROWS, message, [self.name(event)])
            return
        if event.user_id != order.user_id:
            self.report.add(Check.ROWS, "another user's order", [self.name(event)], order.user_id, event.user_id)
        progress = self.part.progress.setdefault(order.id, Progress())
        self._see_step(event, order, progress)
        self._see_fill(event, order, progress)
        progress.follow(event)

    def _see_step(self, event: EventRow, order: OrderRow, before: Progress) -> None:
        rows = (self.name(event), order.name)
        if not before.active:
            self.report.add(Check.LIFECYCLE, "comes after the order's end", rows, before.status, event.status)
        elif (before.status, event.status) not in _LEGAL:
            self.report.add(Check.LIFECYCLE, "a step that is not allowed", rows, f"from {before.status}", event.status)
        # An order that closes with a reason, or with a final status, trades no more.
        active = event.status in _FILLING and event.reason is None
        # A fill of a budget order leaves it PARTIALLY_FILLED; what closes it then has no reason but a final status.
        if active != bool(event.active):
            self.report.add(Check.LIFECYCLE, f"{event.status} with reason {event.reason}", rows, active, event.active)

    def _see_fill(self, event: EventRow, order: OrderRow, before: Progress) -> None:
        step = (event.filled_quantity - before.filled, event.filled_notional - before.notional)
        name = self.name(event)
        if event.trade_sequence is None:
            if step != (0, 0):
                self.report.add(Check.FILLS, "filled without a trade", (name, order.name), "nothing", _plain(step))
            return
        trade, untold = self.untold.get(event.trade_sequence, (None, set()))
        role = None if trade is None else _role(order, trade)
        if trade is None or role not in untold:
            message = f"trade {self.market.symbol}-{event.trade_sequence} is not there, or not for this order"
            self.report.add(Check.FILLS, message, (name, order.name))
            return
        if step != (trade.quantity, trade.notional):
            expected = _plain((trade.quantity, trade.notional))
            self.report.add(Check.FILLS, "filled another amount", (name, order.name), expected, _plain(step))
        if role == "taker" and event.sequence != trade.sequence:
            self.report.add(Check.FILLS, "the taker's event has not its trade's number", [name], trade.sequence)
        untold.remove(role)
        if not untold:
            del self.untold[trade.sequence]

    def _finish(self) -> None:
        for trade, untold in self.untold.values():
            missing = " and ".join(sorted(untold))
            self.report.add(Check.FILLS, f"no event of the {missing}", [self.tape.name(trade)], "two events", "fewer")
        self.report.look((Check.DENSE, Check.LIFECYCLE, Check.FILLS, Check.HALTED), self.seen)
        self._compare_orders(self.part.followed_orders())
        if self.market.next_sequence != self.expected:
            book = f"book {self.market.symbol}"
            self.report.add(Check.NEXT, "next sequence", [book], self.expected, self.market.next_sequence)
        self.report.look([Check.NEXT], 1)

    def _compare_orders(self, orders: Iterable[OrderRow]) -> None:
        looked = 0
        for order in orders:
            looked += 1
            last = self.part.progress.get(order.id) or Progress()
            state = (order.status, order.reason, order.active, order.filled_quantity, order.filled_notional)
            told = (last.status, last.reason, bool(last.active), last.filled, last.notional)
            if state != told:
                self.report.add(
                    Check.STATE, "order and its last event differ", [order.name], _state(told), _state(state)
                )
            if order.sequence != last.first:
                self.report.add(Check.BIRTH, "sequence", [order.name], last.first, order.sequence)
            traded, filled = (last.traded, last.turnover), (order.filled_quantity, order.filled_notional)
            if traded != filled:
                self.report.add(Check.TRADED, "filled is not its trades", [order.name], _plain(traded), _plain(filled))
        self.report.look((Check.STATE, Check.BIRTH, Check.TRADED), looked)


def _role(order: OrderRow, trade: TradeRow) -> str | None:
    """Which side of the trade the order is; None if it is neither."""
    if order.id != (trade.buy_order_id if order.side == "BUY" else trade.sell_order_id):
        return None
    return "taker" if order.side == trade.taker_side else "maker"


def _plain(amounts: tuple[int, int]) -> str:
    quantity, notional = amounts
    return f"{plain_units(quantity)} for {plain_units(notional)}"


def _state(state: tuple[str, str | None, bool, int, int]) -> str:
    status, reason, active, filled, notional = state
    return f"{status} {reason or ''} {'active' if active else 'closed'} {_plain((filled, notional))}"
