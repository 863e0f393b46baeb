"""One market: what a command changes of its trading status and its book.

`decide` applies the commands of one transaction and returns a Batch: all that the transaction has to write.
After each command the stops that the last price reaches are triggered, and then fire, before the next command: see
`cascade`.
"""

from collections.abc import Iterable, Mapping, Sequence

from core.amend import amend, refuse_amend
from core.auction import uncross
from core.batch import Account, Batch
from core.book import Book
from core.cascade import cascade, wait
from core.closing import ENDS, close_by
from core.fees import spent
from core.kinds import KINDS, asset_given, owed, spends_available
from core.outcome import Outcome
from core.store import OrderStore
from core.taker import place
from core.types import (
    TAKES_ORDERS,
    TRADING_STATUS_AFTER,
    CommandKind,
    MarketStatus,
    Order,
    PendingCommand,
    Reason,
    Rules,
    Status,
)

# Under names of this module, because Python 3.11 takes long to find a member of an enumeration.
_NEW, _AMEND, _REPLACE, _TRIGGER = CommandKind.NEW, CommandKind.AMEND, CommandKind.REPLACE, CommandKind.TRIGGER
BY_OPERATOR = "by an operator"
# What the caller adds to the data of a command whose order's time was over before.
IS_OVER = "is_over"
UNCROSSING_GIVEN_UP = "the uncrossing was given up"


class Market:
    """A market in its worker's memory: its trading status and its book.

    `is_unfinished`: its next command goes on where the last batch stopped.
    """

    __slots__ = ("_before", "book", "is_uncrossing", "is_unfinished", "last_trade", "rules", "status")

    def __init__(
        self,
        rules: Rules,
        status: str,
        next_sequence: int = 1,
        resting: Iterable[Order] = (),
        last_price: int | None = None,
        store: OrderStore | None = None,
        last_trade: int = 0,
        is_uncrossing: bool = False,
    ) -> None:
        """Rebuild the market from its row, its resting orders, and its last trade's price and sequence.

        `is_uncrossing`: an earlier transaction began to uncross the book, and did not finish. Raises ValueError if the
        orders of a market that trades are crossed.
        """
        self.rules = rules
        self.status = status
        self.book = Book(rules, next_sequence, resting, last_price, store, status != MarketStatus.TRADING)
        self.book.collects = status == MarketStatus.AUCTION
        self.is_uncrossing = is_uncrossing
        self.last_trade = last_trade
        self.is_unfinished = is_uncrossing
        # The batch before: it was perhaps being stored when the commands were read.
        self._before: Batch | None = None

    def decide(
        self,
        commands: Sequence[PendingCommand],
        *,
        spendable: Mapping[Account, int],
        most_fills: int,
        has_more: bool = False,
        fires: bool = True,
    ) -> Batch:
        """Apply the commands in order, until the transaction has as many fills as it may have.

        `spendable`: the available funds of the `spenders`, in units. Their balances are locked before.
        `most_fills`: how many orders one taker may meet in this transaction. The limit exists because each trade takes
        time to write, and the book is locked meanwhile. A batch of several takers ends at twice as many.
        `has_more`: more commands wait in the inbox. `fires`: triggered orders may fire in the transaction that triggers
        them, which they may not where a command that fails is searched for: each must be a command of its own then.
        """
        batch = Batch(self.rules, self.status, previous_trade=self.last_trade)
        # In a cascade there are no other commands.
        is_cascading = bool(commands) and commands[0].kind == _TRIGGER
        # Something is due here only in the rest of a cascade, and after an order that failed when it had traded.
        is_all_due = self.is_unfinished or self._cascade(batch, most_fills, fires and not is_cascading)
        if is_all_due and (is_cascading or not batch.triggered):
            self._apply_all(commands, batch, spendable, most_fills, fires and not is_cascading)
        are_left = is_cascading and (has_more or len(batch.done) < len(commands))
        if is_cascading and fires and not are_left:
            self._cascade(batch, most_fills, fires)
        batch.is_cascading = are_left or bool(batch.triggered)
        batch.trails = self.book.stops.take_changes()
        self.status, self.is_unfinished, self._before = batch.status, batch.is_command_unfinished, batch
        if batch.trades:
            self.last_trade = batch.trades[-1].sequence
        return batch

    def _apply_all(
        self,
        commands: Sequence[PendingCommand],
        batch: Batch,
        spendable: Mapping[Account, int],
        most_fills: int,
        fires: bool,
    ) -> None:
        """Apply commands until one is unfinished, the batch is full, or one has triggered what must fire before."""
        stops = self.book.stops
        for command in commands:
            left = batch.left(most_fills)
            if left <= 0:
                return
            outcome = self._apply(command, batch, spendable, min(left, most_fills))
            batch.add(command, outcome)
            if not outcome.finished:
                return
            if stops.orders and not self._cascade(batch, most_fills, fires):
                return
            if batch.triggered and command.kind != _TRIGGER:
                return

    def _cascade(self, batch: Batch, most_fills: int, fires: bool) -> bool:
        return cascade(self.book, batch, most_fills, self._match if fires else None)

    def give_up(self, command: PendingCommand, *, is_crossed: bool = False) -> Batch:
        """Give a command up. A new order becomes FAILED, a cancel and an amend change nothing, a trading status is set.

        But for DELISTED, which would say that nothing rests, and for TRADING where the stored orders are crossed: the
        market is halted, and can be delisted or resumed again. An amend that is on its way through the book has changed
        its order already, which becomes FAILED like a new one.
        """
        batch, outcome = Batch(self.rules, self.status), Outcome([], [])
        if command.kind == CommandKind.DELIST:
            batch.halt_delisting(self.book.next_sequence)
        elif command.kind == CommandKind.RESUME and (is_crossed or batch.status == MarketStatus.AUCTION):
            batch.set_trading_status(MarketStatus.HALTED, self.book.next_sequence, UNCROSSING_GIVEN_UP)
        elif command.kind in TRADING_STATUS_AFTER:
            batch.set_trading_status(TRADING_STATUS_AFTER[command.kind], self.book.next_sequence, BY_OPERATOR)
        elif command.order is not None:
            if command.kind == _AMEND and not command.goes_on:
                outcome = refuse_amend(self.book, command.order, command.reserved)
            else:
                command.order.frozen += command.reserved
                outcome = self.book.refuse(command.order, Status.FAILED, Reason.INTERNAL_ERROR)
            if command.stop is not None and command.stop.status in (Status.PENDING, Status.WAITING):
                outcome.events.append(self.book.close_alone(command.stop, Status.CANCELLED, Reason.OCO))
        batch.add(command, outcome)
        self.status = batch.status
        return batch

    def _apply(self, command: PendingCommand, batch: Batch, spendable: Mapping[Account, int], steps: int) -> Outcome:
        """Apply one command.

        A delisting cancels twice as many orders as a taker may meet, because a cancel makes one event and a fill two.
        Its command stays in the inbox until no order rests, and goes on first as an unfinished taker does.
        """
        if command.kind in TRADING_STATUS_AFTER:
            return self._set_trading_status(command, batch, steps)
        order = command.order
        if order is None or command.kind in ENDS:
            return close_by(self.book, command)
        if command.kind == _NEW or command.goes_on or command.kind == _TRIGGER:
            return self._take(order, batch, spendable, steps)
        if command.kind == _REPLACE:
            return self._replace(order, command, batch, spendable, steps)
        if command.stop is not None:
            return self._open_group(order, command.stop, batch, steps)
        assert command.kind == _AMEND, command.kind
        return self._amend(order, command, batch, steps)

    def _take(
        self, order: Order, batch: Batch, spendable: Mapping[Account, int], steps: int, returned: int = 0
    ) -> Outcome:
        """Send an order through the book. A market that does not trade rejects new orders.

        An unfinished taker can be refused here too: the engine halts a broken market at once, while the command of an
        operator waits until the taker is finished. `returned` is what the command itself has given back to the user.
        """
        if order.is_extended and batch.status == MarketStatus.TRADING and _has_to_wait(order):
            return Outcome([wait(self.book, order)], [])
        if spends_available(order) and batch.status in TAKES_ORDERS:
            quote = (order.user_id, self.rules.quote)
            _limit_spending(order, spendable[quote] + batch.gained(*quote) + returned, self.rules.quote_step)
        return self._match(order, batch, steps)

    def _match(self, order: Order, batch: Batch, steps: int) -> Outcome:
        if batch.status in TAKES_ORDERS:
            return place(self.book, order, max_steps=steps)
        reason = Reason.MARKET_DELISTED if batch.status == MarketStatus.DELISTED else Reason.MARKET_HALTED
        return self.book.refuse(order, Status.CANCELLED if order.filled else Status.REJECTED, reason)

    def _open_group(self, limit: Order, stop: Order, batch: Batch, steps: int) -> Outcome:
        """Let the stop leg of a new group wait, and then the limit leg trade."""
        if batch.status != MarketStatus.TRADING:
            refused = self._match(stop, batch, steps)
            return Outcome([*refused.events, self.book.close_alone(limit, Status.CANCELLED, Reason.OCO)], [])
        waiting = wait(self.book, stop)
        outcome = self._match(limit, batch, steps)
        return outcome._replace(events=[waiting, *outcome.events])

    def _set_trading_status(self, command: PendingCommand, batch: Batch, steps: int) -> Outcome:
        """Set the trading status. A crossed book is uncrossed first, and its market trades when that is done."""
        becomes = TRADING_STATUS_AFTER[command.kind]
        outcome, band = Outcome([], []), None
        if becomes is MarketStatus.TRADING and batch.status != MarketStatus.DELISTED and self.book.is_crossed():
            # In an auction, if it is not in one: a halt may have come between.
            batch.set_trading_status(MarketStatus.AUCTION, self.book.next_sequence, BY_OPERATOR)
            band = command.data["priceBand"] if command.data else None
            outcome = uncross(self.book, band, steps, goes_on=self.is_uncrossing)
            self.is_uncrossing = not outcome.finished
            if self.is_uncrossing:
                return outcome
        batch.set_trading_status(becomes, self.book.next_sequence, BY_OPERATOR, band)
        self.book.collects = batch.status == MarketStatus.AUCTION
        self.book.may_cross = batch.status != MarketStatus.TRADING
        if command.kind == CommandKind.DELIST:
            return self.book.cancel_first(2 * steps, Reason.MARKET_DELISTED)
        return outcome

    def _amend(self, order: Order, command: PendingCommand, batch: Batch, steps: int) -> Outcome:
        """Amend the order that rests or waits, which is not the one that was read with the command."""
        there = self.book.find(command.order_id) or self.book.stops.orders.get(command.order_id)
        if there is not None and batch.status in TAKES_ORDERS:
            return amend(self.book, there, command.data or {}, command.reserved, steps)
        return refuse_amend(self.book, there or self._closed(order, batch), command.reserved)

    def _closed(self, order: Order, batch: Batch) -> Order:
        """An order that does not rest any more, as it was when it was closed.

        The row may be older: it was read when the batch before had not been stored.
        """
        found = batch.find_closed(order.id)
        if found is None and self._before is not None:
            found = self._before.find_closed(order.id)
            if found is not None:
                found.closed_at = self._before.stored_at
        return found or order

    def _replace(
        self, order: Order, command: PendingCommand, batch: Batch, spendable: Mapping[Account, int], steps: int
    ) -> Outcome:
        """Cancel an order, and send another one through the book with what that released."""
        order.frozen += command.reserved
        assert command.data is not None, command
        cancelled = self.book.cancel(command.data["replaces"])
        if not cancelled.events:
            return self.book.refuse(order, Status.REJECTED, Reason.NOTHING_TO_REPLACE)
        rules = self.rules
        asset = asset_given(order.side, rules.base, rules.quote)
        pays = (order.user_id, asset)
        returned = sum(
            event.released
            for event in cancelled.events
            if asset_given(event.order.side, rules.base, rules.quote) == asset
        )
        missing = owed(order, rules.quote_step) - order.frozen
        if IS_OVER in command.data:
            taken = self.book.refuse(order, Status.EXPIRED, Reason.GTD_EXPIRED)
        elif missing > spendable[pays] + batch.gained(*pays) + returned:
            taken = self.book.refuse(order, Status.REJECTED, Reason.INSUFFICIENT_FUNDS)
        else:
            batch.freeze(*pays, missing)
            order.frozen += missing
            taken = self._take(order, batch, spendable, steps, returned)
        return taken._replace(events=cancelled.events + taken.events)


def _has_to_wait(order: Order) -> bool:
    return not order.is_triggered and KINDS[order.type].waits


def spenders(commands: Iterable[PendingCommand], rules: Rules) -> set[Account]:
    """The balances whose available funds decide what becomes of a command: those of MARKET buys by quantity, and of
    orders that replace others.
    """
    return {
        (order.user_id, asset_given(order.side, rules.base, rules.quote))
        for command in commands
        if (order := command.order) is not None and (spends_available(order) or command.kind == _REPLACE)
    }


def _limit_spending(order: Order, available: int, step: int) -> None:
    """Set the spend limit of an order. An unfinished taker keeps the limit of its first transaction.

    It may earn quote meanwhile, by a trade with its own user. If it could spend that, its fills would depend on where
    one transaction ended and the next one began.
    """
    limit = spent(order, step) + available
    order.spend_limit = limit if order.spend_limit is None else min(order.spend_limit, limit)
