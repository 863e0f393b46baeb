"""A batch: what the commands of one transaction change, and which money that moves."""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple, TypeGuard

from core.kinds import asset_given
from core.outcome import Event, Outcome, Trade
from core.trailing import TrailChange
from core.types import MarketStatus, Order, PendingCommand, Phase, Rules

# The key of a balance: user id and asset.
Account = tuple[int, str]
DELISTING_GIVEN_UP = "the delisting was given up"


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
    # Orders that were triggered in this batch and have not fired, in their order.
    triggered: deque[Order] = field(default_factory=deque)
    # How many were triggered in all.
    triggers: int = 0
    # Whether triggered orders wait to fire in the next batch.
    is_cascading: bool = False
    # What changed of the entries of TRAILING_STOPs.
    trails: list[TrailChange] = field(default_factory=list)
    # The sequence of the last trade before the batch; 0 before the first.
    previous_trade: int = 0
    # Whether one of the trades has a rebate, or a buyer's fee in quote.
    has_unusual_fees: bool = False
    # What amends put in the place of orders, by id: the last events of these refer to other objects than the first.
    amended: dict[int, Order] = field(default_factory=dict)
    # Orders whose frozen funds changed by an event of another one, by id.
    holders: dict[int, Order] = field(default_factory=dict)
    # The commands whose reserved amount has become their order's, and which stay in the inbox.
    spent: list[int] = field(default_factory=list)
    # The caller's instant at which the batch is stored.
    stored_at: object = None
    _changes: dict[Account, list[int]] = field(default_factory=dict)
    # What the first so many events closed.
    _closed: dict[int, Order] = field(default_factory=dict)
    _searched: int = 0

    def add(self, command: PendingCommand, outcome: Outcome) -> None:
        """Add the outcome of one command. The command of an unfinished taker stays in the inbox."""
        order = outcome.order or command.order
        if outcome.order is not None:
            self.amended[outcome.order.id] = outcome.order
        if outcome.holder is not None:
            self.holders[outcome.holder.id] = outcome.holder
        if outcome.finished:
            self.done.append(command)
            # The first event of a new order is its own, unless others were closed before.
            first = outcome.events[0].order if outcome.events else None
            if first is not order and _rests_silently(order, outcome):
                self.rested.append(order)
        else:
            self.unfinished_order_id, self.unfinished = command.order_id, order
            self.unfinished_command_id = command.id
            if command.reserved:
                self.spent.append(command.id)
        self.add_changes(outcome)

    def add_changes(self, outcome: Outcome) -> None:
        """Add the events and trades of an outcome, and the money that they move."""
        self.events += outcome.events
        self.trades += outcome.trades
        for trade in outcome.trades:
            self._move(trade)
        rules = self.rules
        for event in outcome.events:
            if event.released:
                asset = asset_given(event.order.side, rules.base, rules.quote)
                self._change(event.order.user_id, asset, event.released, -event.released)

    def left(self, most_fills: int) -> int:
        """How many orders its takers may still meet, if one may meet so many: together twice as many.

        A taker makes at most two events with each order that it meets: those of the two fills. A stop that is triggered
        counts as much, because its row and its command are written beside its one event.
        """
        return 2 * most_fills - (len(self.events) + self.triggers) // 2

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

    def freeze(self, user_id: int, asset: str, amount: int) -> None:
        """Reserve available funds for an order that a command brings, beside what intake froze for it."""
        self._change(user_id, asset, -amount, amount)

    def find_closed(self, order_id: int) -> Order | None:
        """The order, if one of the batch's events closed it."""
        new = self.events[self._searched :]
        self._closed.update((event.order.id, event.order) for event in new if not event.active)
        self._searched += len(new)
        return self._closed.get(order_id)

    def gained(self, user_id: int, asset: str) -> int:
        """The change of a user's available funds by the batch so far, in units."""
        change = self._changes.get((user_id, asset))
        return change[0] if change else 0

    @property
    def is_command_unfinished(self) -> bool:
        """Whether a taker goes on, or what else one command does."""
        return self.unfinished_command_id is not None or self.unfinished_order_id is not None

    @property
    def is_unfinished(self) -> bool:
        """Whether something goes on before any other command."""
        return self.is_command_unfinished or self.is_cascading

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


def _rests_silently(order: Order | None, outcome: Outcome) -> TypeGuard[Order]:
    """Whether an order began to rest by this outcome without an event of its own."""
    if order is None or order.phase is not Phase.RESTING:
        return False
    return all(event.order.id != order.id for event in outcome.events)
