"""A market's worker without a database: an inbox, rows of orders, balances, and the core's `Market.decide`.

What a transaction leaves is kept as copies, as rows would be: each command brings a copy of its order, and with
`forgetful` the market is built again from them for each transaction.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import Any

from core.batch import Batch
from core.kinds import asset_given
from core.market import Market, spenders
from core.money import to_units
from core.outcome import Event, Trade
from core.trailing import Entry
from core.types import (
    TRANSITIONS,
    WITH_ORDER,
    CommandKind,
    Order,
    PendingCommand,
    Phase,
    Reason,
    Rules,
    Side,
    Status,
)
from tests.support import commands

BASE, QUOTE = "BASE", "QUOTE"


class Worker:
    def __init__(self, market: commands.Market, batch_size: int, most_fills: int, forgetful: bool) -> None:
        lot, base_step, quote_step, tick = (
            to_units(Decimal(step)) for step in (market.lot, market.base_step, market.quote_step, market.tick)
        )
        self.rules = Rules(lot, base_step, quote_step, tick_size=tick)
        self.batch_size, self.most_fills, self.forgetful = batch_size, most_fills, forgetful
        self.available: defaultdict[tuple[Any, str], int] = defaultdict(int)
        self.frozen: defaultdict[tuple[Any, str], int] = defaultdict(int)
        self.rows: dict[int, Order] = {}
        self.active: set[int] = set()
        self.inbox: list[PendingCommand] = []
        self.unfinished: int | None = None
        self.is_cascading = self.is_uncrossing = False
        # Where TRAILING_STOPs stand: by side, the extreme from each sequence on.
        self.trails: dict[Side, dict[int, int]] = {side: {} for side in Side}
        self.events: list[Event] = []
        self.trades: list[Trade] = []
        # What each order's events said last: the rows' guards.
        self.states: dict[int, tuple[Status, int]] = {}
        self.ids = count(1)
        self.batches = 0
        self.status = "TRADING"
        self.market = self.load()

    def freeze(self, user: object, asset: str, amount: int) -> None:
        self.available[user, asset] -= amount
        self.frozen[user, asset] += amount

    def store(self, *orders: Order) -> None:
        """Intake stores orders with what they have frozen."""
        for order in orders:
            self.rows[order.id] = order
            self.active.add(order.id)
            self.states[order.id] = (Status.PENDING, 0)
            self.freeze(order.user_id, self._pays_with(order), order.frozen)

    def submit(
        self, kind: str, order_id: int | None = None, data: Mapping[str, Any] | None = None, reserved: int = 0
    ) -> None:
        """A command, with what was frozen for it in the asset that its order pays with."""
        if reserved:
            order = self.rows[order_id or 0]
            self.freeze(order.user_id, self._pays_with(order), reserved)
        self.inbox.append(PendingCommand(next(self.ids), kind, order_id, None, data, reserved))

    def reserved(self) -> dict[tuple[Any, str], int]:
        """What the active orders, and the commands that wait, have frozen."""
        found: defaultdict[tuple[Any, str], int] = defaultdict(int)
        for order_id in self.active:
            order = self.rows[order_id]
            found[order.user_id, self._pays_with(order)] += order.frozen
        for command in self.inbox:
            if command.reserved:
                order = self.rows[command.order_id]
                found[order.user_id, self._pays_with(order)] += command.reserved
        return found

    def drain(self) -> None:
        while self.inbox:
            before = len(self.inbox), len(self.events)
            self._settle_next()
            assert (len(self.inbox), len(self.events)) != before or self.unfinished, "a transaction that does nothing"

    def load(self) -> Market:
        """The market from its rows."""
        last = self.trades[-1] if self.trades else None
        market = Market(
            self.rules,
            self.status,
            len(self.events) + 1,
            self._in_phase(Phase.RESTING),
            last and last.price,
            last_trade=last.sequence if last else 0,
            is_uncrossing=self.is_uncrossing,
        )
        trails = {side: [Entry(*entry) for entry in entries.items()] for side, entries in self.trails.items()}
        market.book.stops.load(sorted(self._in_phase(Phase.WAITING), key=lambda order: order.sequence or 0), trails)
        market.is_unfinished = self.unfinished is not None
        return market

    def _in_phase(self, phase: Phase) -> list[Order]:
        rows = (self.rows[order_id] for order_id in self.active)
        return [replace(order) for order in rows if order.phase is phase]

    def _settle_next(self) -> None:
        if self.forgetful:
            self.market = self.load()
        batch_of = [self._with_order(command) for command in self._next()]
        spendable = {account: self.available[account] for account in spenders(batch_of, self.rules)}
        # Now and then each command is one of its own, as where one that fails is searched for.
        fires, has_more = self.batches % 7 != 6, len(batch_of) == self.batch_size
        batch = self.market.decide(
            batch_of, spendable=spendable, most_fills=self.most_fills, has_more=has_more, fires=fires
        )
        self.batches += 1
        self._settle(batch)
        self.market.book.check()
        self.market.book.stops.check()

    def _next(self) -> list[PendingCommand]:
        """First that of what is unfinished, then those of triggered orders, then by id."""
        first = [command for command in self.inbox if command.id == self.unfinished]
        others = [command for command in self.inbox if command.id != self.unfinished]
        if self.is_cascading:
            triggered = [command for command in others if command.kind == CommandKind.TRIGGER]
            others = triggered if first or triggered else others
        return [*first, *others][: self.batch_size]

    def _with_order(self, command: PendingCommand) -> PendingCommand:
        if command.kind not in WITH_ORDER:
            return command
        stop = replace(self.rows[command.data["stop"]]) if command.data and "stop" in command.data else None
        order = replace(self.rows[command.order_id])
        return command._replace(order=order, stop=stop, goes_on=command.id == self.unfinished)

    def _settle(self, batch: Batch) -> None:
        done = {command.id for command in batch.done}
        left = [command for command in self.inbox if command.id not in done]
        self.inbox = [command._replace(reserved=0) if command.id in batch.spent else command for command in left]
        for account, change in batch.changes.items():
            self.available[account] += change.available
            self.frozen[account] += change.frozen
            assert self.available[account] >= 0, account
            assert self.frozen[account] >= 0, account
        for event in batch.events:
            self._check(event)
        self.events += batch.events
        self.trades += batch.trades
        # The last one counts: an amend puts another object in the place of an order.
        holders = [batch.amended.get(order_id, order) for order_id, order in batch.holders.items()]
        changed = [*batch.rested, *(event.order for event in batch.events), batch.unfinished, *holders]
        for order in changed:
            if order is not None:
                self.rows[order.id] = replace(order)
                (self.active.add if order.active else self.active.discard)(order.id)
        self.status, self.unfinished, self.is_cascading = batch.status, batch.unfinished_command_id, batch.is_cascading
        self.is_uncrossing = self.unfinished is not None and batch.unfinished_order_id is None
        for order in batch.triggered:
            self.submit(CommandKind.TRIGGER, order.id)
            if order.id == batch.unfinished_order_id:
                self.unfinished = self.inbox[-1].id
        for side, cut, removed, entries in batch.trails:
            kept = self.trails[side].items()
            left = {at: extreme for at, extreme in kept if at not in removed and (cut is None or at < cut)}
            self.trails[side] = left | dict(entries)

    def _check(self, event: Event) -> None:
        """What the rows' guards check."""
        status, filled = self.states[event.order.id]
        assert event.previous == status, (event, status)
        assert event.status in TRANSITIONS[status] or event.reason == Reason.AMEND_REFUSED, (status, event)
        assert event.filled - filled == (event.trade.quantity if event.trade else 0), event
        self.states[event.order.id] = (event.status, event.filled)

    def _pays_with(self, order: Order) -> str:
        return asset_given(order.side, BASE, QUOTE)
