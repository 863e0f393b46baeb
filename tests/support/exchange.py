"""A market on which lines of the tape are played as commands, in transactions of any size, and without a database.

What a transaction leaves behind is what the shell would store: TRIGGER commands, an unfinished taker, trails. `crash`
builds the market again from that.
"""

import copy

from core.batch import Batch
from core.market import Market, spenders
from core.trailing import Entry
from core.types import Order, PendingCommand, Phase, Side
from tests.support.tape import Desk, plain, units


class Floor(Desk):
    """`most_fills` and `batch_size` as the engine's settings. `crashes`: the market is built again after each batch."""

    def __init__(
        self, *, most_fills: int = 100, batch_size: int = 100, crashes: bool = False, fires: bool = True, **terms
    ) -> None:
        super().__init__(**terms)
        self.most_fills, self.batch_size, self.crashes, self.fires = most_fills, batch_size, crashes, fires
        self.market = Market(self.book.rules, "TRADING")
        self.book = self.market.book
        self.inbox: list[PendingCommand] = []
        self.funds: dict[int, int] = {}
        self.batches: list[Batch] = []
        self.trails: dict[Side, dict[int, int]] = {side: {} for side in Side}
        self.unfinished: PendingCommand | None = None
        self.is_cascading = False
        self._next_command = 1

    def send(self, *lines: str) -> Order:
        """Put new orders into the inbox, and return the last one."""
        for line in lines:
            order = self.order(line)
            self.command("NEW", order)
        return order

    def send_oco(self, line: str, stop: str) -> tuple[Order, Order]:
        """Both legs: the limit leg, which holds what the dearer one needs, and the stop leg."""
        limit, leg = self.order(line), self.order(stop)
        limit.frozen, leg.frozen = max(limit.frozen, leg.frozen), 0
        for order in (limit, leg):
            order.group_id, order.user_id, order.is_extended = limit.id, limit.user_id, True
        self.command("OCO", limit, leg)
        return limit, leg

    def command(self, kind: str, order: Order | None = None, stop: Order | None = None, **more) -> None:
        order_id = more.pop("order_id", 0 if order is None else order.id)
        self.inbox.append(PendingCommand(self._next_command, kind, order_id, order, stop=stop, **more))
        self._next_command += 1

    def play(self, *lines: str, **more) -> Order:
        """Send orders, and drain the inbox after each of them."""
        for line in lines:
            order = self.send(line)
            self.drain()
        return order

    def cancel(self, order_id: int) -> None:
        self.command("CANCEL", order_id=order_id)
        self.drain()

    def drain(self) -> None:
        while self.inbox:
            self.settle(self.next_batch())
            if self.crashes:
                self.crash()

    def next_batch(self) -> Batch:
        """Decide one transaction, with the commands that the shell would read for it."""
        rows = self._read()
        accounts = spenders(rows, self.market.rules)
        spendable = {account: self.funds.get(account[0], units("1000000")) for account in accounts}
        return self.market.decide(
            rows,
            spendable=spendable,
            most_fills=self.most_fills,
            has_more=len(rows) == self.batch_size,
            fires=self.fires,
        )

    def settle(self, batch: Batch) -> None:
        """What the transaction stores beside orders and money."""
        done = {command.id for command in batch.done}
        self.inbox = [command for command in self.inbox if command.id not in done]
        for order in batch.triggered:
            self.command("TRIGGER", order)
        going_on = [
            command
            for command in self.inbox
            if command.id == batch.unfinished_command_id
            or (command.order_id == batch.unfinished_order_id and command.kind == "TRIGGER")
        ]
        self.unfinished = going_on[0] if batch.is_command_unfinished else None
        self.is_cascading = batch.is_cascading
        for side, cut, removed, entries in batch.trails:
            kept = self.trails[side]
            for sequence in [key for key in kept if key in removed or (cut is not None and key >= cut)]:
                del kept[sequence]
            kept.update(entries)
        self.batches.append(batch)
        self.trades += batch.trades
        self.book.check()
        numbers = [event.sequence for event in batch.events]
        assert numbers == list(range(self._next_event, self._next_event + len(numbers)))
        self._next_event += len(numbers)

    def crash(self) -> None:
        """Build the market again from what is stored: copies of the orders, as they would be read."""
        for order in self.orders.values():
            if order.active:
                self.orders[order.id] = copy.copy(order)
        resting = [order for order in self.orders.values() if order.phase is Phase.RESTING]
        waiting = [order for order in self.orders.values() if order.phase is Phase.WAITING]
        waiting.sort(key=lambda order: order.sequence)
        old = self.market
        self.market = Market(
            old.rules,
            old.status,
            old.book.next_sequence,
            resting,
            old.book.last_price,
            last_trade=old.last_trade,
        )
        self.market.is_unfinished = self.unfinished is not None
        self.book = self.market.book
        self.book.stops.load(
            waiting, {side: [Entry(*entry) for entry in kept.items()] for side, kept in self.trails.items()}
        )
        self.inbox = [
            command._replace(
                order=command.order and self.orders[command.order.id],
                stop=command.stop and self.orders[command.stop.id],
            )
            for command in self.inbox
        ]
        self.book.check()

    def tape(self) -> list[str]:
        """All events, a line each: "3: 1 triggered", "4: 1 filled 5@90"."""
        lines = []
        for event in (event for batch in self.batches for event in batch.events):
            words = [f"{event.sequence}: {event.order.id} {event.status.lower()}"]
            if event.trade is not None:
                words.append(f"{plain(event.trade.quantity)}@{plain(event.trade.price)}")
            if event.reason is not None and event.reason != event.status:
                words.append(event.reason.lower())
            lines.append(" ".join(words))
        return lines

    def _read(self) -> list[PendingCommand]:
        first = [] if self.unfinished is None else [c for c in self.inbox if c.id == self.unfinished.id]
        others = [command for command in self.inbox if command not in first]
        triggered = [command for command in others if command.kind == "TRIGGER"]
        if self.is_cascading and (first or triggered):
            others = triggered
        return [*(command._replace(goes_on=True) for command in first), *others][: self.batch_size]
