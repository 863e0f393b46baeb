"""Giving up a command that cannot be applied, and halting a market whose rows contradict each other.

A command that fails must not stop its market: it alone is given up. A broken invariant must stop the market, because
each further trade could move money that is not there.
"""

import logging
import traceback

from django.conf import settings
from django.db import transaction
from structlog.contextvars import bound_contextvars

from base.storage.literals import dialect
from base.telemetry.metrics import DEAD_LETTERS
from commands import queue
from core.batch import Batch
from core.market import Market
from core.types import TRADING_STATUS_AFTER, CommandKind, MarketStatus, PendingCommand, Phase
from markets.services import set_trading_status
from matching import books
from matching.books import BookRow, lock_book
from matching.inbox import parse_commands, read_inbox
from matching.models import DeadLetter
from matching.order_rows import CORE_COLUMNS, core_order
from matching.prepare import Prepared
from matching.settlement import Settlement, clear_inbox, store, write_settlement
from orders.models import Order
from orders.resting import best_prices

logger = logging.getLogger(__name__)

LONGEST_ERROR = 500


def give_up(symbol: str, command_id: int, error: Exception, attempts: int) -> Prepared | None:
    """Take the command out of the inbox in a transaction of its own; its order is FAILED, with its funds released (and
    that of an amend is as it was).

    Keeps a dead letter, and halts the market when too many orders failed one after the other. Returns the batch to
    publish, or None if another worker applied the command or gave it up meanwhile.
    """
    with transaction.atomic(durable=True):
        row = lock_book(symbol)
        rows = read_inbox(symbol, 1, row)
        if not rows or rows[0][0] != command_id:
            return None
        [command] = parse_commands(rows, row.unfinished_command_id)
        market, batch = _given_up(row, command)
        failures = row.failures + 1
        too_many = failures >= settings.ENGINE_HALT_AFTER_FAILURES
        if too_many:
            reason = f"{failures} orders failed one after the other"
            batch.set_trading_status(MarketStatus.HALTED, market.book.next_sequence, reason)
        settlement = write_settlement(batch, market.book.next_sequence, row.now, dialect())
        clear_inbox(batch.done)
        store(row, settlement, failures)
        letter = _store_dead_letter(command, settlement, error, attempts)
        correlation_id = _correlation_id(command)
    with bound_contextvars(orderId=command.order_id, correlationId=correlation_id):
        _announce(letter, error, correlation_id)
        # The given-up command may itself be an operator's halt: then the batch has no second change of status.
        if too_many and batch.status_changes:
            logger.critical("market %s is halted: %s", symbol, batch.status_changes[-1].reason)
    # No public messages, because the order was never in the book.
    return Prepared(market, settlement, is_full=False, public=[])


def _given_up(row: BookRow, command: PendingCommand) -> tuple[Market, Batch]:
    """With an empty book, because nothing is matched here, and the defect may be in the real book."""
    symbol = row.market_id
    market = Market(books.rules(symbol), row.status, row.next_sequence)
    bid, ask = best_prices(symbol)
    is_crossed = bid is not None and ask is not None and bid >= ask
    batch = market.give_up(_with_other_leg(command), is_crossed=is_crossed)
    if command.kind in TRADING_STATUS_AFTER and not batch.status_changes:
        # Intake has read the wanted status since the command was submitted.
        set_trading_status(symbol, batch.status)
    # Perhaps it was the last one that was triggered, and perhaps it made stops due by what it had traded: that is
    # looked at in the next transaction, which has the book.
    batch.is_cascading = bool(row.is_cascading) or command.goes_on
    return market, batch


def _with_other_leg(command: PendingCommand) -> PendingCommand:
    """The command; that of an amended order on its way through the book with the stop leg of its group, which ends with
    it: the order has the funds of both.
    """
    order = command.order
    if order is None or order.group_id is None or command.kind != CommandKind.AMEND or not command.goes_on:
        return command
    legs = Order.objects.filter(user_id=order.user_id, group_id=order.group_id, phase=Phase.WAITING)
    stop = next(iter(legs.order_by().values_list(*CORE_COLUMNS)), None)
    return command if stop is None else command._replace(stop=core_order(stop))


def halt(symbol: str, error: Exception) -> None:
    """Halt a market whose rows contradict each other. Its inbox stays as it is until the rows are repaired."""
    with transaction.atomic(durable=True):
        row = lock_book(symbol)
        # A delisted market stays so: it takes no orders either.
        is_new = row.status not in (MarketStatus.HALTED, MarketStatus.DELISTED)
        if is_new:
            batch = Batch(
                books.rules(symbol),
                row.status,
                unfinished_order_id=row.unfinished_order_id,
                unfinished_command_id=row.unfinished_command_id,
                is_cascading=bool(row.is_cascading),
            )
            batch.set_trading_status(MarketStatus.HALTED, row.next_sequence, f"broken: {type(error).__name__}")
            store(row, write_settlement(batch, row.next_sequence, row.now, dialect()), row.failures)
        else:
            # An operator resumed the market before the rows were repaired. Intake reads this status, and the command
            # that resumes cannot be applied.
            set_trading_status(symbol, row.status)
    if is_new:
        logger.critical("market %s is halted, an invariant is broken: %s", symbol, error, exc_info=error)
    else:
        logger.error("market %s stays %s, an invariant is broken: %s", symbol, row.status.lower(), error)


def _store_dead_letter(command: PendingCommand, settlement: Settlement, error: Exception, attempts: int) -> DeadLetter:
    return DeadLetter.objects.create(
        market_id=settlement.batch.rules.symbol,
        kind=command.kind,
        order_id=command.order_id,
        error=f"{type(error).__name__}: {error}"[:LONGEST_ERROR],
        traceback="".join(traceback.format_exception(error)),
        attempts=attempts,
        created_at=settlement.now,
    )


def _correlation_id(command: PendingCommand) -> str | None:
    """The correlation id of the command's order; None for a command that sets the trading status."""
    if command.kind in TRADING_STATUS_AFTER:
        return None
    return Order.objects.filter(id=command.order_id).values_list("correlation_id", flat=True).first()


def _announce(letter: DeadLetter, error: Exception, correlation_id: str | None) -> None:
    DEAD_LETTERS.labels(letter.market_id).inc()
    logger.error("%s of %s was given up, dead letter %d", letter, letter.market_id, letter.pk, exc_info=error)
    queue.announce(
        {
            "id": letter.pk,
            "symbol": letter.market_id,
            "kind": letter.kind,
            "orderId": letter.order_id,
            "correlationId": correlation_id,
            "error": letter.error,
            "attempts": letter.attempts,
        }
    )
