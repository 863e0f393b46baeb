"""The core's outcomes become rows: orders, trades, money, ledger, events and the book's new state, all in one go."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.functional import cached_property

from balances.models import EntryKind, HouseAccount, LedgerEntry
from balances.services import Change, settle
from exchange.bulk import GuardFailed, update_rows
from markets import candles
from markets.models import Market, Trade
from matching.core import types as core
from matching.core.book import Book
from matching.core.money import to_decimal
from matching.core.types import Outcome, Status
from matching.models import Command, OrderBook, new_token
from orders.models import Order, OrderEvent
from orders.services import frozen_currency

ORDER_GUARDS = ("status", "filled_quantity")
ORDER_FIELDS = (
    "status",
    "reason",
    "active",
    "filled_quantity",
    "filled_notional",
    "frozen",
    "budget",
    "sequence",
    "updated_at",
    "closed_at",
)


@dataclass
class Batch:
    """What the commands of one transaction changed, in the order in which they were applied."""

    market: Market
    done: list[Command] = field(default_factory=list)
    events: list[core.Event] = field(default_factory=list)
    trades: list[core.Trade] = field(default_factory=list)
    unfinished_order_id: int | None = None
    # Signed changes of (available, frozen) by (user, currency), in units.
    _changes: dict[tuple[int, str], list[int]] = field(default_factory=dict)

    def add(self, command: Command, outcome: Outcome) -> None:
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


@dataclass(frozen=True)
class Settled:
    """The rows of a committed batch, for those who tell of it."""

    events: list[OrderEvent]
    trades: list[Trade]
    commands: int


def store(row: OrderBook, book: Book, batch: Batch, now: datetime) -> tuple[str, Settled]:
    """Write everything the batch changed inside the caller's transaction; return the book's new token and the rows.

    Raises GuardFailed or AssertionError when a row is not as the book in memory believed it to be.
    """
    events = [_event_row(batch.market.symbol, event, now) for event in batch.events]
    trades = [_trade_row(batch.market.symbol, trade, now) for trade in batch.trades]
    settle(batch.changes, _ledger_entries(batch, now), now)
    _store_orders(batch.events, now)
    Trade.objects.bulk_create(trades)
    candles.record(batch.market, trades, now)
    OrderEvent.objects.bulk_create(events)
    _clear_inbox(batch.done)
    token = new_token()
    renewed = OrderBook.objects.filter(market_id=row.market_id, token=row.token)
    state = {"next_sequence": book.next_sequence, "unfinished_order_id": batch.unfinished_order_id}
    if renewed.update(token=token, updated_at=now, **state) != 1:
        raise GuardFailed(f"book {row.market_id} no longer carries the token {row.token}")
    return token, Settled(events, trades, len(batch.done))


def _store_orders(events: Iterable[core.Event], now: datetime) -> None:
    """The last state of every order touched, guarded by the state that its first event began from."""
    first: dict[int, core.Event] = {}
    for event in events:
        first.setdefault(event.order.id, event)
    rows = [(event.order.id, *_state_before(event), *_state_after(event.order, now)) for event in first.values()]
    update_rows(Order, key="id", guards=ORDER_GUARDS, fields=ORDER_FIELDS, rows=rows)


def _state_before(event: core.Event) -> tuple[object, ...]:
    filled = event.filled - (event.trade.quantity if event.trade else 0)
    if event.sequence == event.order.sequence:
        status = Status.PENDING
    else:
        status = Status.PARTIALLY_FILLED if filled else Status.OPEN
    return status.value, to_decimal(filled)


def _state_after(order: core.Order, now: datetime) -> tuple[object, ...]:
    return (
        order.status.value,
        order.reason.value if order.reason else None,
        order.active,
        to_decimal(order.filled),
        to_decimal(order.filled_notional),
        to_decimal(order.frozen),
        None if order.budget is None else to_decimal(order.budget),
        order.sequence,
        now,
        None if order.active else now,
    )


def _event_row(symbol: str, event: core.Event, now: datetime) -> OrderEvent:
    return OrderEvent(
        market_id=symbol,
        sequence=event.sequence,
        order_id=event.order.id,
        user_id=event.order.user_id,
        status=event.status.value,
        reason=event.reason.value if event.reason else None,
        active=event.active,
        filled_quantity=to_decimal(event.filled),
        filled_notional=to_decimal(event.filled_notional),
        trade_sequence=event.trade.sequence if event.trade else None,
        created_at=now,
    )


def _trade_row(symbol: str, trade: core.Trade, now: datetime) -> Trade:
    return Trade(
        market_id=symbol,
        sequence=trade.sequence,
        buy_order_id=trade.buyer.id,
        sell_order_id=trade.seller.id,
        taker_side=trade.taker.side.value,
        price=to_decimal(trade.price),
        quantity=to_decimal(trade.quantity),
        buyer_fee=to_decimal(trade.buyer_fee),
        seller_fee=to_decimal(trade.seller_fee),
        created_at=now,
    )


def _ledger_entries(batch: Batch, now: datetime) -> list[LedgerEntry]:
    return [
        LedgerEntry(
            account=account,
            currency_id=currency,
            kind=kind,
            amount=to_decimal(units),
            reference=f"trade:{batch.market.symbol}-{trade.sequence}",
            created_at=now,
        )
        for trade in batch.trades
        for account, currency, kind, units in _postings(batch.market, trade)
        if units
    ]


def _postings(market: Market, trade: core.Trade) -> tuple[tuple[int, str, EntryKind, int], ...]:
    """Who gave and who got: each currency sums to zero."""
    base, quote, fees = market.base_id, market.quote_id, HouseAccount.FEES.value
    buyer, seller = trade.buyer.user_id, trade.seller.user_id
    return (
        (seller, base, EntryKind.TRADE, -trade.quantity),
        (buyer, base, EntryKind.TRADE, trade.quantity),
        (buyer, quote, EntryKind.TRADE, -trade.notional),
        (seller, quote, EntryKind.TRADE, trade.notional),
        (buyer, base, EntryKind.FEE, -trade.buyer_fee),
        (fees, base, EntryKind.FEE, trade.buyer_fee),
        (seller, quote, EntryKind.FEE, -trade.seller_fee),
        (fees, quote, EntryKind.FEE, trade.seller_fee),
    )


def _clear_inbox(commands: list[Command]) -> None:
    deleted, _ = Command.objects.filter(id__in=[command.id for command in commands]).delete()
    if deleted != len(commands):
        raise GuardFailed(f"{deleted} of {len(commands)} commands were still in the inbox")
