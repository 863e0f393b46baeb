"""A market played again from its recorded sequence by the naive twin, and compared with what is stored.

What was put in is found again from what came out:
- an order's first event is where it was applied; before it stand, at the most, the makers that its self-trade
  prevention removed;
- a cancel by the user and a failure are the command that caused them;
- the switches of the market have their places in the sequence;
- what a MARKET BUY by quantity was allowed to spend is the order's own record: it was taken from funds at a moment that
  cannot be had again. All other funds were checked at intake, so the twin's users are rich.

A taker that is on its way through the book, or failed there, is played as far as it came.
"""

from collections import defaultdict, deque
from collections.abc import Iterator
from decimal import Context, Decimal, localcontext
from itertools import zip_longest
from typing import Any

from audit.checks import Check
from audit.findings import Report
from audit.naive import BASE, QUOTE, NaiveExchange, NaiveOrder
from audit.reference_data import MarketState, ReferenceData
from audit.rows import BalanceRow, EntryRow, EventRow, OrderRow, TradeRow, read
from audit.scope import Scope, whole
from core.money import plain, to_decimal
from core.types import MarketStatus, Reason, Status

# More than anybody could ever own.
RICHES = Decimal(10) ** 18
# Products of two amounts of any size, exactly.
_EXACT = Context(prec=60)


class Unexplained(Exception):
    """An event that no command, and no order before it, accounts for."""


class Replay:
    """One market. `play` gives the twin what the market was given; `compare` says where they differ."""

    def __init__(self, report: Report, data: ReferenceData, market: MarketState) -> None:
        self.report, self.data, self.market = report, data, market
        self.part: Scope = whole(market)
        self.orders = self.part.orders
        self.events: list[EventRow] = list(self.part.events())
        steps = (to_decimal(units) for units in (market.lot, market.base_step, market.quote_step))
        self.twin = NaiveExchange(*steps)
        self.switches = deque(market.changes)
        self.rich: set[int] = set()
        # Where orders failed or were refused, some on their way through the book: the number of events before that.
        self.stops = {event.order_id: at for at, event in enumerate(self.events) if _stops(event)}

    def run(self) -> None:
        with localcontext(_EXACT):
            try:
                self._play()
            except Unexplained as error:
                # What comes after it cannot be compared.
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
                # From here on they are two different histories; the comparison shows the first step.
                return
            self._switch(at)
            self._put_in(at)
            twin.drain()
            if len(twin.events) == at:
                raise Unexplained(f"nothing leads to event {self.market.symbol}-{self.events[at].sequence}")
        self._switch(len(self.events))

    def _switch(self, at: int) -> None:
        sequence = self.events[at].sequence if at < len(self.events) else self.market.next_sequence
        while self.switches and self.switches[0].sequence <= sequence:
            self.twin.is_trading = self.switches.popleft().status == MarketStatus.TRADING

    def _put_in(self, at: int) -> None:
        """Tell the twin the command whose first event is the one at this place."""
        event = self.events[at]
        order = self.orders.get(event.order_id)
        if order is None:
            raise Unexplained(f"event {self.market.symbol}-{event.sequence} is of an order that is not there")
        if event.status == Status.FAILED:
            if order.id not in self.twin.orders:
                self._bring(order)
                self.twin.queue.clear()
            self.twin.fail(order.id)
        elif event.reason == Reason.MARKET_HALTED and order.id in self.twin.orders:
            self.twin.refuse(order.id)
        elif event.reason == Reason.USER_CANCELLED and order.id in self.twin.orders:
            self.twin.cancel(order.id)
        else:
            self._bring(self._taker(at))

    def _taker(self, at: int) -> OrderRow:
        """The order that was applied here: that of the first event which is the first of its order.

        Only makers that were removed may come before it; a taker that so far did nothing else has no event of its own.
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
        raise Unexplained(f"nothing leads to event {self.market.symbol}-{self.events[at].sequence}")

    def _bring(self, order: OrderRow) -> None:
        if order.user_id not in self.rich:
            self.rich.add(order.user_id)
            for asset in (BASE, QUOTE):
                self.twin.deposit(order.user_id, asset, RICHES)
        self.twin.stops_at = self.stops.get(order.id)
        if order.id == self.market.unfinished:
            self.twin.stops_at = len(self.events)
        accepted = self.twin.place(_naive(order))
        assert accepted, "the twin's users can pay for everything"

    def _compare_events(self) -> bool:
        """The first difference only: all that follows differs because of it."""
        self.report.look([Check.REPLAY_EVENTS], len(self.events))
        for told, event in zip_longest(self.twin.events, self.events):
            if told is None or event is None or not _is_same(told, event):
                number = event.sequence if event else self.events[-1].sequence + 1
                rows = [f"event {self.market.symbol}-{number}", *([f"order {event.order_id}"] if event else [])]
                found = _stored(event) if event else "no event"
                expected = _told(told) if told else "no event"
                self.report.add(Check.REPLAY_EVENTS, "the first that differs", rows, expected, found)
                return False
        return True

    def _compare_trades(self) -> bool:
        trades = list(self.part.trades())
        self.report.look([Check.REPLAY_TRADES], len(trades))
        made = list(self._twins_trades())
        for told, trade in zip_longest(made, map(_trade, trades)):
            if told != trade:
                sequence = (trade or told)[0]
                rows = [f"trade {self.market.symbol}-{sequence}"]
                self.report.add(Check.REPLAY_TRADES, "the first that differs", rows, _text(told), _text(trade))
                return False
        return True

    def _twins_trades(self) -> Iterator[tuple[Any, ...]]:
        """In the form of stored ones: each with the number of its taker's event, which is the first that tells it."""
        told = -1
        for sequence, event in zip((event.sequence for event in self.events), self.twin.events, strict=True):
            if event.trade is not None and event.trade > told:
                told = event.trade
                yield sequence, self.twin.orders[event.order].side, *self.twin.trades[told]

    def _compare_orders(self) -> None:
        applied = [order for order in self.orders.values() if order.sequence is not None]
        self.report.look([Check.REPLAY_ORDERS], len(applied))
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
        self.report.look([Check.REPLAY_BOOK], len(stored))
        for side, sign in (("BUY", -1), ("SELL", 1)):
            found = [order for order in stored if order.side == side]
            found.sort(key=lambda order: sign * (order.price or 0))
            expected = [order for order in self.twin.resting if order.side == side]
            expected.sort(key=lambda order: sign * order.limit)
            for place, (wanted, there) in enumerate(zip_longest(expected, found)):
                if wanted is None or there is None or wanted.id != there.id:
                    rows = [f"order {order.id}" for order in (wanted, there) if order]
                    message = f"{side} of {self.market.symbol}, place {place + 1}"
                    ids = [order.id if order else "nobody" for order in (wanted, there)]
                    self.report.add(Check.REPLAY_BOOK, message, rows, *ids)
                    break

    def _compare_balances(self) -> None:
        """What came from elsewhere, and what the twin's trades brought."""
        codes = {BASE: self.market.base, QUOTE: self.market.quote}
        owned: defaultdict[tuple[int, str], Decimal] = defaultdict(Decimal)
        for asset, code in codes.items():
            for user in self.rich:
                owned[user, code] += self.twin.available[user, asset] + self.twin.frozen[user, asset] - RICHES
        for entry in read(EntryRow, currency_id__in=list(codes.values()), account__gt=0):
            if not self._is_mine(entry.reference):
                owned[entry.account, entry.currency_id] += to_decimal(entry.amount)
        looked = 0
        for balance in read(BalanceRow, currency_id__in=list(codes.values())):
            looked += 1
            expected = owned.pop((balance.user_id, balance.currency_id), Decimal(0))
            found = to_decimal(balance.available + balance.frozen)
            if found != expected:
                message = "available and frozen"
                self.report.add(Check.REPLAY_BALANCES, message, [balance.name], plain(expected), plain(found))
        for (user, code), amount in owned.items():
            if amount:
                rows = [f"balance {user} {code}"]
                self.report.add(Check.REPLAY_BALANCES, "no balance", rows, plain(amount), "no balance")
        self.report.look([Check.REPLAY_BALANCES], looked)

    def _is_mine(self, reference: str) -> bool:
        """Whether an entry is of one of this market's trades. Symbols may end in digits: only the last ones count."""
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
        budget=_decimal(order.quote_quantity),
        purse=_decimal(order.spend_limit),
        time_in_force=order.time_in_force,
        post_only=bool(order.post_only),
        stp=order.self_trade_prevention,
        maker_rate=to_decimal(order.maker_fee_rate),
        taker_rate=to_decimal(order.taker_fee_rate),
    )


def _decimal(units: int | None) -> Decimal | None:
    return None if units is None else to_decimal(units)


def _is_same(told: Any, event: EventRow) -> bool:
    return (told.order, told.status, told.reason, told.active, told.filled, told.trade is None) == (
        event.order_id,
        event.status,
        event.reason,
        bool(event.active),
        to_decimal(event.filled_quantity),
        event.trade_sequence is None,
    )


def _told(told: Any) -> str:
    return f"order {told.order} {told.status} {told.reason or ''} filled {plain(told.filled)}"


def _stored(event: EventRow) -> str:
    filled = plain(to_decimal(event.filled_quantity))
    return f"order {event.order_id} {event.status} {event.reason or ''} filled {filled}"


def _trade(row: TradeRow) -> tuple[Any, ...]:
    money = map(to_decimal, (row.price, row.quantity, row.buyer_fee, row.seller_fee))
    return row.sequence, row.taker_side, row.buy_order_id, row.sell_order_id, *money


def _text(values: tuple[Any, ...] | None) -> str:
    if values is None:
        return "nothing"
    return " ".join(plain(value) if isinstance(value, Decimal) else str(value) for value in values)
