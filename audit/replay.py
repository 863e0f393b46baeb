"""Replay: the naive twin matches a market's recorded sequence again, and the results are compared with the stored rows.

`recorded` finds the commands of the sequence by their events. Of what was matched only in part, because it is
unfinished or failed on its way through the book, the twin matches as much.
"""

from collections import defaultdict
from collections.abc import Iterator
from decimal import Context, Decimal, localcontext
from itertools import zip_longest
from typing import Any

from audit.checks import Check, Report
from audit.naive import BASE, QUOTE, NaiveExchange
from audit.recorded import ENOUGH, Recorded, Unexplained, decimal_or_none
from audit.reference_data import MarketState, ReferenceData
from audit.rows import BalanceRow, EntryRow, EventRow, TradeRow, read
from audit.scope import Scope, full_scope
from core.money import plain, to_decimal

# Enough digits for the exact product of two amounts.
EXACT = Context(prec=60)


class Replay:
    """The replay of one market."""

    def __init__(self, report: Report, data: ReferenceData, market: MarketState) -> None:
        self.report, self.data, self.market = report, data, market
        self.scope: Scope = full_scope(market)
        self.orders = self.scope.orders
        self.events: list[EventRow] = list(self.scope.events())
        steps = (to_decimal(units) for units in (market.lot, market.base_step, market.quote_step))
        self.twin = NaiveExchange(*steps)
        self.recorded = Recorded(market, self.orders, self.events, self.twin)

    def run(self) -> None:
        with localcontext(EXACT):
            try:
                self._play()
            except Unexplained as error:
                # What follows this event cannot be compared.
                self.report.add(Check.REPLAY_EVENTS, str(error), [f"market {self.market.symbol}"], "a cause", "none")
                self._compare_events()
                return
            if self._compare_events() and self._compare_trades():
                self._compare_orders()
                self._compare_book()
                self._compare_balances()

    def _play(self) -> None:
        twin = self.twin
        while len(twin.events) < len(self.events):
            at = len(twin.events)
            if at and not is_same(twin.events[at - 1], self.events[at - 1]):
                # From here on the two histories differ; the comparison reports the first event.
                return
            self.recorded.set_trading_status(at)
            if len(twin.events) == at:
                self.recorded.go_on(at)
        self.recorded.set_trading_status(len(self.events))

    def _compare_events(self) -> bool:
        """Report the first difference only, because the others follow from it."""
        self.report.count([Check.REPLAY_EVENTS], len(self.events))
        for twins, event in zip_longest(self.twin.events, self.events):
            if twins is None or event is None or not is_same(twins, event):
                number = event.sequence if event else self.events[-1].sequence + 1
                rows = [f"event {self.market.symbol}-{number}", *([f"order {event.order_id}"] if event else [])]
                found = _event_text(event) if event else "no event"
                expected = _twins_event_text(twins) if twins else "no event"
                self.report.add(Check.REPLAY_EVENTS, "the first that differs", rows, expected, found)
                return False
        return True

    def _compare_trades(self) -> bool:
        trades = list(self.scope.trades())
        self.report.count([Check.REPLAY_TRADES], len(trades))
        for twins, trade in zip_longest(self._twins_trades(), map(_trade, trades)):
            if twins != trade:
                sequence = (trade or twins)[0]
                rows = [f"trade {self.market.symbol}-{sequence}"]
                self.report.add(Check.REPLAY_TRADES, "the first that differs", rows, _text(twins), _text(trade))
                return False
        return True

    def _twins_trades(self) -> Iterator[tuple[Any, ...]]:
        """The twin's trades in the form of stored ones. A trade's sequence is that of its first event, the taker's."""
        last = -1
        for sequence, event in zip((event.sequence for event in self.events), self.twin.events, strict=True):
            if event.trade is not None and event.trade > last:
                last = event.trade
                yield sequence, *self.twin.trades[last]

    def _compare_orders(self) -> None:
        applied = [order for order in self.orders.values() if order.sequence is not None]
        self.report.count([Check.REPLAY_ORDERS], len(applied))
        for order in applied:
            twin = self.twin.orders.get(order.id)
            expected: tuple[Any, ...] | None = None
            if twin is not None:
                expected = (twin.status, twin.reason, twin.active, twin.filled, twin.spent, twin.frozen)
                # An order that is closed shows nothing: what was its tip then does not matter.
                expected += (twin.prevented, twin.tip if twin.active else None, twin.price, twin.quantity)
            amounts = map(to_decimal, (order.filled_quantity, order.filled_notional, order.frozen))
            tip = order.tip if order.active else None
            extended = map(decimal_or_none, (order.prevented_quantity or 0, tip, order.price, order.quantity))
            found = (order.status, order.reason, order.active, *amounts, *extended)
            if found != expected:
                self.report.add(Check.REPLAY_ORDERS, "ended otherwise", [order.name], _text(expected), _text(found))

    def _compare_book(self) -> None:
        stored = [order for order in self.orders.values() if order.rests and order.id != self.market.unfinished]
        stored.sort(key=lambda order: order.place)
        self.report.count([Check.REPLAY_BOOK], len(stored))
        for side, sign in (("BUY", -1), ("SELL", 1)):
            found = [order for order in stored if order.side == side]
            found.sort(key=lambda order: sign * (order.price or 0))
            expected = self.twin.side(side)
            for place, pair in enumerate(zip_longest(expected, found)):
                ids = [order.id if order else "no order" for order in pair]
                if ids[0] != ids[1]:
                    rows = [f"order {order.id}" for order in pair if order]
                    message = f"{side} of {self.market.symbol}, place {place + 1}"
                    self.report.add(Check.REPLAY_BOOK, message, rows, *ids)
                    break

    def _compare_balances(self) -> None:
        """Each balance must be the sum of its other entries and of what the twin's trades moved."""
        codes = {BASE: self.market.base, QUOTE: self.market.quote}
        owned: defaultdict[tuple[int, str], Decimal] = defaultdict(Decimal)
        for asset, code in codes.items():
            for user in self.recorded.users:
                owned[user, code] += self.twin.available[user, asset] + self.twin.frozen[user, asset] - ENOUGH
        for entry in read(EntryRow, currency_id__in=list(codes.values()), account__gt=0):
            if not self._is_of_this_market(entry.reference):
                owned[entry.account, entry.currency_id] += to_decimal(entry.amount)
        counted = 0
        for balance in read(BalanceRow, currency_id__in=list(codes.values())):
            counted += 1
            expected = owned.pop((balance.user_id, balance.currency_id), Decimal(0))
            found = to_decimal(balance.available + balance.frozen)
            if found != expected:
                message = "available and frozen"
                self.report.add(Check.REPLAY_BALANCES, message, [balance.name], plain(expected), plain(found))
        for (user, code), amount in owned.items():
            if amount:
                rows = [f"balance {user} {code}"]
                self.report.add(Check.REPLAY_BALANCES, "no balance", rows, plain(amount), "no balance")
        self.report.count([Check.REPLAY_BALANCES], counted)

    def _is_of_this_market(self, reference: str) -> bool:
        """Whether the reference names a trade of this market. A symbol too may end in digits: the last ones count."""
        symbol, _, number = reference.removeprefix("trade:").rpartition("-")
        return reference.startswith("trade:") and symbol == self.market.symbol and number.isdecimal()


def is_same(twins: Any, event: EventRow) -> bool:
    return (twins.order, twins.status, twins.reason, twins.active, twins.filled, twins.trade is None) == (
        event.order_id,
        event.status,
        event.reason,
        bool(event.active),
        to_decimal(event.filled_quantity),
        event.trade_sequence is None,
    )


def _twins_event_text(twins: Any) -> str:
    return f"order {twins.order} {twins.status} {twins.reason or ''} filled {plain(twins.filled)}"


def _event_text(event: EventRow) -> str:
    filled = plain(to_decimal(event.filled_quantity))
    return f"order {event.order_id} {event.status} {event.reason or ''} filled {filled}"


def _trade(row: TradeRow) -> tuple[Any, ...]:
    money = map(to_decimal, (row.price, row.quantity, row.buyer_fee, row.seller_fee))
    rebate = to_decimal(row.rebate)
    return row.sequence, row.buy_order_id, row.sell_order_id, *money, row.taker_side, rebate


def _text(values: tuple[Any, ...] | None) -> str:
    if values is None:
        return "nothing"
    return " ".join(plain(value) if isinstance(value, Decimal) else str(value) for value in values)
