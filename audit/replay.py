"""Replay: the naive twin matches a market's recorded sequence again, and the results are compared with the stored rows.

The commands were deleted when they were applied, so the replay finds them by their events:
- An order was applied at its first event. Before that event there may be those of makers which its self-trade
  prevention removed.
- The event of a user's cancel, of a failure, and of each order that a delisting cancels, is the place of its command.
- The changes of the trading status have their sequences.
- The spend limit of a MARKET BUY by quantity is read from the order's row, because it came from the available funds of
  one moment. All other funds were checked at intake, so each user of the twin owns more than enough.

An unfinished taker, and one that failed on its way through the book, is matched as far as it came.
"""

from collections import defaultdict, deque
from collections.abc import Iterator
from decimal import Context, Decimal, localcontext
from itertools import zip_longest
from typing import Any

from audit.checks import Check, Report
from audit.naive import BASE, QUOTE, NaiveExchange, NaiveOrder
from audit.reference_data import MarketState, ReferenceData
from audit.rows import BalanceRow, EntryRow, EventRow, OrderRow, TradeRow, read
from audit.scope import Scope, full_scope
from core.money import plain, to_decimal
from core.types import Reason, Status

# More than any user could own.
ENOUGH = Decimal(10) ** 18
# Enough digits for the exact product of two amounts.
_EXACT = Context(prec=60)


class Unexplained(Exception):
    """No command leads to an event."""


class Replay:
    """The replay of one market."""

    def __init__(self, report: Report, data: ReferenceData, market: MarketState) -> None:
        self.report, self.data, self.market = report, data, market
        self.scope: Scope = full_scope(market)
        self.orders = self.scope.orders
        self.events: list[EventRow] = list(self.scope.events())
        steps = (to_decimal(units) for units in (market.lot, market.base_step, market.quote_step))
        self.twin = NaiveExchange(*steps)
        self.status_changes = deque(market.changes)
        self.users: set[int] = set()
        # By order that failed or was refused, perhaps on its way through the book: the number of events before that.
        self.stops = {event.order_id: at for at, event in enumerate(self.events) if _stops(event)}

    def run(self) -> None:
        with localcontext(_EXACT):
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
            if at and not _is_same(twin.events[at - 1], self.events[at - 1]):
                # From here on the two histories differ; the comparison reports the first event.
                return
            self._set_trading_status(at)
            self._give_command(at)
            twin.drain()
            if len(twin.events) == at:
                raise Unexplained(f"no command leads to event {self.market.symbol}-{self.events[at].sequence}")
        self._set_trading_status(len(self.events))

    def _set_trading_status(self, at: int) -> None:
        sequence = self.events[at].sequence if at < len(self.events) else self.market.next_sequence
        while self.status_changes and self.status_changes[0].sequence <= sequence:
            self.twin.status = self.status_changes.popleft().status

    def _give_command(self, at: int) -> None:
        """Give the twin the command whose first event is at this place."""
        event = self.events[at]
        order = self.orders.get(event.order_id)
        if order is None:
            raise Unexplained(f"event {self.market.symbol}-{event.sequence} is of an order that does not exist")
        if event.status == Status.FAILED:
            if order.id not in self.twin.orders:
                self._place(order)
                self.twin.queue.clear()
            self.twin.fail(order.id)
        elif event.reason == Reason.MARKET_HALTED and order.id in self.twin.orders:
            self.twin.refuse(order.id)
        elif event.reason == Reason.MARKET_DELISTED and order.id in self.twin.orders:
            self.twin.delist_next()
        elif event.reason == Reason.USER_CANCELLED and order.id in self.twin.orders:
            self.twin.cancel(order.id)
        else:
            self._place(self._taker(at))

    def _taker(self, at: int) -> OrderRow:
        """The order that was applied here: the order of the next event that is the first of its order.

        Only the events of makers that it removed may come before. An unfinished taker may have no event yet.
        """
        for place in range(at, len(self.events)):
            event = self.events[place]
            if event.order_id not in self.twin.orders:
                return self.orders[event.order_id]
            if event.reason != Reason.SELF_TRADE:
                break
        else:
            if self.market.unfinished in self.orders and self.market.unfinished not in self.twin.orders:
                return self.orders[self.market.unfinished]
        raise Unexplained(f"no command leads to event {self.market.symbol}-{self.events[at].sequence}")

    def _place(self, order: OrderRow) -> None:
        if order.user_id not in self.users:
            self.users.add(order.user_id)
            for asset in (BASE, QUOTE):
                self.twin.deposit(order.user_id, asset, ENOUGH)
        self.twin.stops_at = self.stops.get(order.id)
        if order.id == self.market.unfinished:
            self.twin.stops_at = len(self.events)
        accepted = self.twin.place(_naive(order))
        assert accepted, "the twin's users can pay for everything"

    def _compare_events(self) -> bool:
        """Report the first difference only, because the others follow from it."""
        self.report.count([Check.REPLAY_EVENTS], len(self.events))
        for twins, event in zip_longest(self.twin.events, self.events):
            if twins is None or event is None or not _is_same(twins, event):
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
            expected = None
            if twin is not None:
                expected = (twin.status, twin.reason, twin.active, twin.filled, twin.spent, twin.frozen)
            amounts = map(to_decimal, (order.filled_quantity, order.filled_notional, order.frozen))
            found = (order.status, order.reason, order.active, *amounts)
            if found != expected:
                self.report.add(Check.REPLAY_ORDERS, "ended otherwise", [order.name], _text(expected), _text(found))

    def _compare_book(self) -> None:
        stored = [order for order in self.orders.values() if order.rests and order.id != self.market.unfinished]
        stored.sort(key=lambda order: order.sequence or 0)
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
            for user in self.users:
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


def _stops(event: EventRow) -> bool:
    return event.status == Status.FAILED or event.reason == Reason.MARKET_HALTED


def _naive(order: OrderRow) -> NaiveOrder:
    return NaiveOrder(
        id=order.id,
        user=order.user_id,
        side=order.side,
        price=_decimal(order.price),
        quantity=_decimal(order.quantity),
        quote_quantity=_decimal(order.quote_quantity),
        spend_limit=_decimal(order.spend_limit),
        price_band=_decimal(order.price_band),
        time_in_force=order.time_in_force,
        post_only=bool(order.post_only),
        stp=order.self_trade_prevention,
        maker_rate=to_decimal(order.maker_fee_rate),
        taker_rate=to_decimal(order.taker_fee_rate),
    )


def _decimal(units: int | None) -> Decimal | None:
    return None if units is None else to_decimal(units)


def _is_same(twins: Any, event: EventRow) -> bool:
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
    return row.sequence, row.buy_order_id, row.sell_order_id, *money, row.taker_side


def _text(values: tuple[Any, ...] | None) -> str:
    if values is None:
        return "nothing"
    return " ".join(plain(value) if isinstance(value, Decimal) else str(value) for value in values)
