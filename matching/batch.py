"""What the commands of one transaction changed, kept until it is written."""

from dataclasses import dataclass, field

from django.utils.functional import cached_property

from balances.services import Change
from core import types as core
from core.market import TradingStatusChange
from core.types import MarketStatus, Outcome
from markets.models import Market
from matching.inbox import PendingCommand
from orders.terms import frozen_currency


@dataclass
class Batch:
    """What the commands of one transaction changed, in the order in which they were applied."""

    market: Market
    # What the market is after what was applied so far.
    status: str = MarketStatus.TRADING
    switches: list[TradingStatusChange] = field(default_factory=list)
    done: list[PendingCommand] = field(default_factory=list)
    events: list[core.Event] = field(default_factory=list)
    trades: list[core.Trade] = field(default_factory=list)
    unfinished_order_id: int | None = None
    # Signed changes of (available, frozen) by (user, currency), in units.
    _changes: dict[tuple[int, str], list[int]] = field(default_factory=dict)

    def add(self, command: PendingCommand, outcome: Outcome) -> None:
        """Take in one command's outcome; an unfinished one stays in the inbox."""
        self.events += outcome.events
        self.trades += outcome.trades
        if outcome.finished:
            self.done.append(command)
        else:
            self.unfinished_order_id = command.order_id
        for trade in outcome.trades:
            self._move(trade)
        for event in outcome.events:
            if event.released:
                frozen = frozen_currency(self.market, event.order.side)
                self._change(event.order.user_id, frozen, event.released, -event.released)

    def switch(self, status: str, sequence: int, reason: str) -> None:
        """Change the market's status here; a market that has it already is left as it is."""
        if status != self.status:
            self.switches.append(TradingStatusChange(status, sequence, reason))
        self.status = status

    def gained(self, user_id: int, currency: str) -> int:
        """How much the batch changed a user's available funds so far, in units."""
        change = self._changes.get((user_id, currency))
        return change[0] if change else 0

    @cached_property
    def changes(self) -> dict[tuple[int, str], Change]:
        return {key: Change(*change) for key, change in self._changes.items()}

    def _move(self, trade: core.Trade) -> None:
        """A trade's money. The buyer pays out of frozen funds, and what they froze above the price comes back."""
        base, quote = self.market.base_id, self.market.quote_id
        buyer, seller = trade.buyer.user_id, trade.seller.user_id
        self._change(buyer, quote, trade.buyer_unfrozen - trade.notional, -trade.buyer_unfrozen)
        self._change(buyer, base, trade.quantity - trade.buyer_fee, 0)
        self._change(seller, base, 0, -trade.quantity)
        self._change(seller, quote, trade.notional - trade.seller_fee, 0)

    def _change(self, user_id: int, currency: str, available: int, frozen: int) -> None:
        change = self._changes.setdefault((user_id, currency), [0, 0])
        change[0] += available
        change[1] += frozen
