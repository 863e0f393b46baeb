"""Settlement: a decided batch becomes rows of orders, trades, balances, ledger, events and the book, all at once.

The statements are prepared without a database, so that this can be done ahead while an earlier batch is being stored.
"""

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import add

from balances.posting import write_entries
from balances.settling import Moves, settle, write_moves
from base.storage.bulk import write_deletes, write_inserts, write_updates
from base.storage.literals import Dialect, dialect
from base.storage.statements import Statement, Write, execute, execute_together
from commands.models import Command
from core import outcome
from core import types as core
from core.batch import Batch
from core.types import PendingCommand, Phase
from marketdata import candles
from markets.marks import write_marks
from markets.models import Trade
from markets.services import set_trading_status
from matching.books import BookRow, write_renewal
from matching.extended_rows import (
    EXTENDED_FIELDS,
    date_triggers,
    extended_state,
    funded_rows,
    is_refused,
    rested_rows,
    spent_rows,
    write_expiries,
)
from matching.models import StatusChange
from matching.stops import store_trails, trigger_commands
from orders.models import Order, OrderEvent
from orders.open_orders import count_anew, write_closed
from orders.terms_text import terms_text

ORDER_GUARDS = ("status", "filled_quantity")
ORDER_FIELDS = (
    "status",
    "reason",
    "phase",
    "filled_quantity",
    "filled_notional",
    "frozen",
    "spend_limit",
    "sequence",
    "updated_at",
    "closed_at",
)
EVENT_FIELDS = (
    "market",
    "sequence",
    "order",
    "user",
    "status",
    "reason",
    "active",
    "filled_quantity",
    "filled_notional",
    "trade_sequence",
    "terms",
    "created_at",
)
TRADE_FIELDS = (
    "market",
    "sequence",
    "buy_order_id",
    "sell_order_id",
    "buyer_id",
    "seller_id",
    "taker_side",
    "price",
    "quantity",
    "notional",
    "buyer_fee",
    "seller_fee",
    "created_at",
)
# Only of a batch that has something of them, so that others do not pay for them.
UNUSUAL_FEE_FIELDS = ("rebate", "fee_in_quote")


@dataclass(frozen=True)
class Settlement:
    """The prepared statements of a batch; those apart from the others may find that rows are missing."""

    batch: Batch
    now: datetime
    next_sequence: int
    moves: Moves
    statements: list[Statement]
    candles: list[Statement]
    # How many orders of each user the batch closes, and the statements that take them off.
    closed: Mapping[int, int]
    counts: list[Statement]


def write_settlement(batch: Batch, next_sequence: int, now: datetime, to: Dialect) -> Settlement:
    """Prepare the batch's statements. `next_sequence` is the book's after the batch."""
    symbol, batch.stored_at = batch.rules.symbol, now
    date_triggers(batch, now)
    changed = _changed_orders(batch)
    trade_fields: tuple[str, ...] = TRADE_FIELDS
    trades = [_trade_row(symbol, trade, now) for trade in batch.trades]
    if batch.has_unusual_fees:
        trade_fields += UNUSUAL_FEE_FIELDS
        trades = [*map(add, trades, ((trade.rebate, trade.fee_in_quote) for trade in batch.trades))]
    events = [_event_row(symbol, event, now) for event in batch.events]
    statements = [
        *_write_orders(to, changed, now),
        *write_updates(to, Order, key="id", guards=(), fields=EXTENDED_FIELDS, rows=rested_rows(batch, changed)),
        *write_updates(to, Order, key="id", guards=ORDER_GUARDS, fields=("phase",), rows=_rested_rows(batch, changed)),
        *write_updates(to, Order, key="id", guards=(), fields=("protection_price",), rows=_protected_rows(batch)),
        *write_updates(to, Order, key="id", guards=(), fields=("frozen",), rows=funded_rows(batch)),
        *write_updates(to, Command, key="id", guards=(), fields=("reserved",), rows=spent_rows(batch)),
        *write_expiries(to, batch, (order for _, order in changed.values())),
        *write_inserts(to, Trade, trade_fields, trades),
        *write_inserts(to, OrderEvent, EVENT_FIELDS, events),
        *trigger_commands(batch, now, to),
        *_write_ledger(batch, to),
    ]
    closed = Counter(event.order.user_id for event in batch.events if not event.active and not is_refused(event))
    return Settlement(
        *(batch, now, next_sequence, write_moves(batch.changes, now, to), statements),
        candles=candles.write_candles(symbol, batch.trades, now, to),
        closed=closed,
        counts=write_closed(symbol, closed, to),
    )


def _write_ledger(batch: Batch, to: Dialect) -> list[Statement]:
    if not batch.trades:
        return []
    sequences = batch.trades[0].sequence, batch.trades[-1].sequence
    return [write_entries(batch.rules, *sequences, to, has_unusual_fees=batch.has_unusual_fees)]


def store(row: BookRow, settlement: Settlement, failures: int = 0) -> str:
    """Write all that the batch changed, in the caller's transaction, and return the book's new token.

    `failures`: how many orders have failed one after the other by now. Raises GuardFailed or Overdrawn if a row is not
    what the book in memory takes it for.
    """
    batch, now, symbol = settlement.batch, settlement.now, row.market_id
    after = row._replace(
        next_sequence=settlement.next_sequence,
        unfinished_order_id=batch.unfinished_order_id,
        unfinished_command_id=batch.unfinished_command_id,
        is_cascading=batch.is_cascading,
        status=batch.status,
        failures=failures,
    )
    token, renewal = write_renewal(after, now)
    # Before all else, because intake too locks balances first, and one that is missing is made here.
    settle(settlement.moves)
    writes = [
        Write(settlement.statements),
        Write(write_marks(batch.rules, batch.trades[0].sequence) if batch.trades else []),
        Write(settlement.candles, partial(candles.make_missing, symbol, batch.trades, now)),
    ]
    # Last of all, because intake counts an order after it has locked balances.
    last = [Write(settlement.counts, partial(count_anew, symbol, settlement.closed)), renewal]
    if batch.trails or batch.status_changes or batch.ends_delisting:
        execute_together(writes)
        _store_unusual(batch, now)
        writes = []
    execute_together([*writes, *last])
    return token


def _store_unusual(batch: Batch, now: datetime) -> None:
    """Write what few batches have."""
    symbol = batch.rules.symbol
    if batch.trails:
        store_trails(symbol, batch.trails)
    if batch.status_changes or batch.ends_delisting:
        _store_status_changes(batch, now)


def clear_inbox(commands: list[PendingCommand]) -> None:
    """Take the batch's commands out of the inbox. Raises GuardFailed if another worker has taken one out."""
    execute(write_deletes(Command, [command.id for command in commands]))


def _store_status_changes(batch: Batch, now: datetime) -> None:
    symbol = batch.rules.symbol
    rows = [(symbol, *change, now) for change in batch.status_changes]
    fields = ("market", "status", "sequence", "reason", "price_band", "created_at")
    execute(write_inserts(dialect(), StatusChange, fields, rows))
    # Intake has read the new status since the command was submitted. After several commands the last one counts.
    set_trading_status(symbol, batch.status, ends_delisting=batch.ends_delisting)


def _changed_orders(batch: Batch) -> dict[int, tuple[outcome.Event, core.Order]]:
    """Each order with an event, by its id: its first event, which knows the state before, and the order as it is now.

    Not that of an amend which was refused: it changes nothing, and its order may be closed.
    """
    first: dict[int, outcome.Event] = {}
    for event in batch.events:
        first.setdefault(event.order.id, event)
    if any(map(is_refused, first.values())):
        first = {}
        for event in batch.events:
            if not is_refused(event):
                first.setdefault(event.order.id, event)
    amended = batch.amended
    return {number: (event, amended.get(number, event.order)) for number, event in first.items()}


def _write_orders(
    to: Dialect, changed: Mapping[int, tuple[outcome.Event, core.Order]], now: datetime
) -> list[Statement]:
    """The last state of each order, guarded by the state before its first event."""
    plain, extended = [], []
    for event, order in changed.values():
        row = (order.id, *_state_before(event), *_state_after(order, now))
        if order.is_extended:
            extended.append((*row, *extended_state(order)))
        else:
            plain.append(row)
    write = partial(write_updates, to, Order, key="id", guards=ORDER_GUARDS)
    return [
        *write(fields=ORDER_FIELDS, rows=plain),
        *write(fields=ORDER_FIELDS + EXTENDED_FIELDS, rows=extended),
    ]


def _rested_rows(batch: Batch, changed: Container[int]) -> list[tuple[object, ...]]:
    """The takers that began to rest and have no event in this batch. A later command may have given one an event."""
    return [(order.id, order.status, order.filled, order.phase) for order in batch.rested if order.id not in changed]


def _protected_rows(batch: Batch) -> list[tuple[object, ...]]:
    """The unfinished taker, if it has a price band: its next transaction goes on with the same protection price."""
    taker = batch.unfinished
    return [] if taker is None or taker.protection_price is None else [(taker.id, taker.protection_price)]


def _state_before(event: outcome.Event) -> tuple[object, ...]:
    return event.previous, event.filled - (event.trade.quantity if event.trade else 0)


def _state_after(order: core.Order, now: datetime) -> tuple[object, ...]:
    return (
        order.status,
        order.reason,
        order.phase,
        order.filled,
        order.filled_notional,
        order.frozen,
        order.spend_limit,
        order.sequence,
        now,
        None if order.phase is not Phase.CLOSED else now,
    )


def _event_row(symbol: str, event: outcome.Event, now: datetime) -> tuple[object, ...]:
    return (
        symbol,
        event.sequence,
        event.order.id,
        event.order.user_id,
        event.status,
        event.reason,
        event.active,
        event.filled,
        event.filled_notional,
        event.trade.sequence if event.trade else None,
        None if event.terms is None else terms_text(event.terms),
        now,
    )


def _trade_row(symbol: str, trade: outcome.Trade, now: datetime) -> tuple[object, ...]:
    buyer, seller = trade.buyer, trade.seller
    return (
        symbol,
        trade.sequence,
        buyer.id,
        seller.id,
        buyer.user_id,
        seller.user_id,
        trade.taker.side,
        trade.price,
        trade.quantity,
        trade.notional,
        trade.buyer_fee,
        trade.seller_fee,
        now,
    )
