"""One market: what a command changes of its trading status and its book, and which money that moves.

`decide` applies the commands of one transaction and returns a Batch: all that the transaction has to write.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from core.auction import uncross
from core.book import Book, OrderStore
from core.fees import spent
from core.kinds import asset_given, spends_available
from core.outcome import Event, Outcome, Trade
from core.taker import place
from core.types import (
    TRADING_STATUS_AFTER,
    CommandKind,
    MarketStatus,
    Order,
    PendingCommand,
    Phase,
    Reason,
    Rules,
    Status,
)

# The key of a balance: user id and asset.
Account = tuple[int, str]
BY_OPERATOR = "by an operator"
DELISTING_GIVEN_UP = "the delisting was given up"
UNCROSSING_GIVEN_UP = "the uncrossing was given up"
_TAKES_ORDERS = (MarketStatus.TRADING, MarketStatus.AUCTION)


class TradingStatusChange(NamedTuple):
    """A change of the market's trading status, before the event with this sequence."""

    status: str
    sequence: int
    reason: str
    # The price band, in units, by which the book was uncrossed for it.
    price_band: int | None = None


class Change(NamedTuple):
    """The signed changes that a batch makes to one balance, in units."""

    available: int
    frozen: int


@dataclass
class Batch:
    """What the commands of one transaction changed, in the order in which they were applied."""

    rules: Rules
    # The market's trading status after the commands that were applied so far.
    status: str = MarketStatus.TRADING
    status_changes: list[TradingStatusChange] = field(default_factory=list)
    # Whether a delisting was given up, so that the market's row must not say DELISTED any more.
    ends_delisting: bool = False
    done: list[PendingCommand] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    # Takers that began to rest in this batch and have no event in it, because all of their fills were in earlier ones.
    rested: list[Order] = field(default_factory=list)
    unfinished_order_id: int | None = None
    # The command with which it, or an uncrossing, goes on.
    unfinished_command_id: int | None = None
    # That order, which goes on with what it has fixed in this batch.
    unfinished: Order | None = None
    # Whether triggered orders wait to fire in the next batch.
    is_cascading: bool = False
    # The sequence of the last trade before the batch; 0 before the first.
    previous_trade: int = 0
    # Whether one of the trades has a rebate, or a buyer's fee in quote.
    has_unusual_fees: bool = False
    _changes: dict[Account, list[int]] = field(default_factory=dict)

    def add(self, command: PendingCommand, outcome: Outcome) -> None:
        """Add the outcome of one command. The command of an unfinished taker stays in the inbox."""
        self.events += outcome.events
        self.trades += outcome.trades
        if outcome.finished:
            self.done.append(command)
            if not outcome.events and command.order is not None and command.order.phase is Phase.RESTING:
                self.rested.append(command.order)
        else:
            self.unfinished_order_id, self.unfinished = command.order_id, command.order
            self.unfinished_command_id = command.id
        for trade in outcome.trades:
            self._move(trade)
        rules = self.rules
        for event in outcome.events:
            if event.released:
                asset = asset_given(event.order.side, rules.base, rules.quote)
                self._change(event.order.user_id, asset, event.released, -event.released)

    def set_trading_status(self, status: str, sequence: int, reason: str, price_band: int | None = None) -> None:
        """Change the market's trading status at this place of its sequence, unless the market has it already.

        A market that is delisted stays so.
        """
        if self.status not in (status, MarketStatus.DELISTED):
            self.status_changes.append(TradingStatusChange(status, sequence, reason, price_band))
            self.status = status

    def halt_delisting(self, sequence: int) -> None:
        """The only way out of DELISTED: a market whose orders could not be cancelled is halted and keeps them."""
        if self.status != MarketStatus.HALTED:
            self.status_changes.append(TradingStatusChange(MarketStatus.HALTED, sequence, DELISTING_GIVEN_UP))
            self.status = MarketStatus.HALTED
        self.ends_delisting = True

    def gained(self, user_id: int, asset: str) -> int:
        """The change of a user's available funds by the batch so far, in units."""
        change = self._changes.get((user_id, asset))
        return change[0] if change else 0

    @property
    def is_unfinished(self) -> bool:
        """Whether something goes on before any other command."""
        return self.unfinished_command_id is not None or self.is_cascading

    @property
    def changes(self) -> dict[Account, Change]:
        """The changes of all balances."""
        return {account: Change(*change) for account, change in self._changes.items()}

    def _move(self, trade: Trade) -> None:
        """Move a trade's money. The buyer pays with frozen funds; what was frozen above the price becomes available."""
        base, quote = self.rules.base, self.rules.quote
        buyer, seller = trade.buyer.user_id, trade.seller.user_id
        if trade.fee_in_quote or trade.rebate:
            self._correct_fees(trade)
        self._change(buyer, quote, trade.buyer_unfrozen - trade.notional, -trade.buyer_unfrozen)
        self._change(buyer, base, trade.quantity - trade.buyer_fee, 0)
        self._change(seller, base, 0, -trade.quantity)
        self._change(seller, quote, trade.notional - trade.seller_fee, 0)

    def _correct_fees(self, trade: Trade) -> None:
        """Take the buyer's fee of quote and not of base, and pay the maker the rebate."""
        base, quote = self.rules.base, self.rules.quote
        self.has_unusual_fees = True
        if trade.fee_in_quote:
            self._change(trade.buyer.user_id, base, trade.buyer_fee, 0)
            self._change(trade.buyer.user_id, quote, -trade.buyer_fee, 0)
        if trade.rebate:
            self._change(trade.maker.user_id, trade.taker_fee_asset(base, quote), trade.rebate, 0)

    def _change(self, user_id: int, asset: str, available: int, frozen: int) -> None:
        change = self._changes.setdefault((user_id, asset), [0, 0])
        change[0] += available
        change[1] += frozen


class Market:
    """A market in its worker's memory: its trading status and its book."""

    __slots__ = ("book", "is_uncrossing", "last_trade", "rules", "status")

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

    def decide(self, commands: Sequence[PendingCommand], *, spendable: Mapping[int, int], most_fills: int) -> Batch:
        """Apply the commands in order, until the transaction has as many fills as it may have.

        `spendable`: the available funds of the users who buy by MARKET and quantity, in units. Their balances are
        locked before, because the decision depends on them.
        `most_fills`: how many orders one taker may meet in this transaction. The limit exists because each trade takes
        time to write, and the book is locked meanwhile. A batch of several takers ends at twice as many.
        """
        batch = Batch(self.rules, self.status, previous_trade=self.last_trade)
        for command in commands:
            # A taker makes at most two events with each order that it meets: those of the two fills.
            left = 2 * most_fills - len(batch.events) // 2
            if left <= 0:
                break
            outcome = self._apply(command, batch, spendable, min(left, most_fills))
            batch.add(command, outcome)
            if not outcome.finished:
                break
        self.status = batch.status
        if batch.trades:
            self.last_trade = batch.trades[-1].sequence
        return batch

    def give_up(self, command: PendingCommand) -> Batch:
        """Give a command up. A new order becomes FAILED, a cancel changes nothing, a trading status is set.

        But for DELISTED, which would say that nothing rests: the market is halted, and can be delisted again.
        """
        batch, outcome = Batch(self.rules, self.status), Outcome([], [])
        if command.kind == CommandKind.DELIST:
            batch.halt_delisting(self.book.next_sequence)
        elif command.kind == CommandKind.RESUME and batch.status == MarketStatus.AUCTION:
            # Its book may be crossed, and must not trade so. An operator can resume it again.
            batch.set_trading_status(MarketStatus.HALTED, self.book.next_sequence, UNCROSSING_GIVEN_UP)
        elif command.kind in TRADING_STATUS_AFTER:
            batch.set_trading_status(TRADING_STATUS_AFTER[command.kind], self.book.next_sequence, BY_OPERATOR)
        elif command.order is not None:
            outcome = self.book.refuse(command.order, Status.FAILED, Reason.INTERNAL_ERROR)
        batch.add(command, outcome)
        self.status = batch.status
        return batch

    def _apply(self, command: PendingCommand, batch: Batch, spendable: Mapping[int, int], steps: int) -> Outcome:
        """Apply one command. A market that does not trade rejects new orders.

        A delisting cancels twice as many orders as a taker may meet, because a cancel makes one event and a fill two.
        Its command stays in the inbox until no order rests, and goes on first as an unfinished taker does.
        An unfinished taker can be refused here too: the engine halts a broken market at once, while the command of an
        operator waits until the taker is finished.
        """
        if command.kind in TRADING_STATUS_AFTER:
            return self._set_trading_status(command, batch, steps)
        order = command.order
        if order is None:
            reason = Reason(command.data["reason"]) if command.data else Reason.USER_CANCELLED
            return self.book.cancel(command.order_id, reason)
        if batch.status not in _TAKES_ORDERS:
            reason = Reason.MARKET_DELISTED if batch.status == MarketStatus.DELISTED else Reason.MARKET_HALTED
            return self.book.refuse(order, Status.CANCELLED if order.filled else Status.REJECTED, reason)
        if spends_available(order):
            available = spendable[order.user_id] + batch.gained(order.user_id, self.rules.quote)
            _limit_spending(order, available, self.rules.quote_step)
        return place(self.book, order, max_steps=steps)

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


def market_buyers(commands: Iterable[PendingCommand]) -> set[int]:
    """The users with orders that their available funds limit."""
    orders = (command.order for command in commands)
    return {order.user_id for order in orders if order is not None and spends_available(order)}


def _limit_spending(order: Order, available: int, step: int) -> None:
    """Set the spend limit of an order. An unfinished taker keeps the limit of its first transaction.

    It may earn quote meanwhile, by a trade with its own user. If it could spend that, its fills would depend on where
    one transaction ended and the next one began.
    """
    limit = spent(order, step) + available
    order.spend_limit = limit if order.spend_limit is None else min(order.spend_limit, limit)
