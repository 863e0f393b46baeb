"""Match one market: lock its book's row, read the inbox, decide, settle; and tell after the commit.

Lock order: the book's row, then balances by (user, currency). Placing an order locks one balance and waits for no book,
so the two never form a circle. Two markets that share users may deadlock over balances: the batch is then done again.

Why each step is where it is:
- The book's row is locked by the transaction's first statement, under READ COMMITTED: a snapshot taken before the lock
  would show orders as they were, and match them a second time.
- The inbox is read without locks: the row's lock already makes this worker alone, and intake must not wait for it.
- The book in memory is used only while it carries the row's token, and is forgotten on any error.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now

from balances.services import lock_balances
from markets.models import Market, MarketStatus
from matching import books, queue
from matching.core.book import Book
from matching.core.money import to_units
from matching.core.types import Order as CoreOrder
from matching.core.types import OrderType, Outcome, Reason, Side, Status
from matching.models import Command, CommandKind, OrderBook
from matching.settlement import Batch, Settled, store
from matching.stream import market_messages
from orders.models import Order
from orders.stream import publish_order_events

logger = logging.getLogger(__name__)

ATTEMPTS = 5
BACKOFF_SECONDS = 0.05


@dataclass
class Run:
    """What one matching run did; the Celery task's result."""

    symbol: str
    commands: int = 0
    trades: int = 0
    batches: int = 0

    def add(self, settled: Settled) -> None:
        self.commands += settled.commands
        self.trades += len(settled.trades)
        self.batches += 1


def drain(symbol: str) -> Run:
    """Apply the symbol's waiting commands until none is left or the time box is spent (then it rings again).

    Safe to call at any time, from any number of workers. Raises what the database raises when it cannot be reached.
    """
    queue.silence(symbol)
    run = Run(symbol)
    deadline = time.monotonic() + settings.ENGINE_TIME_BOX_SECONDS
    while done := _settle_next(symbol):
        settled, book = done
        run.add(settled)
        trades = {(trade.market_id, trade.sequence): trade for trade in settled.trades}
        publish_order_events(settled.events, trades, ahead=market_messages(symbol, settled, book))
        if time.monotonic() > deadline:
            queue.ring(symbol)
            break
    return run


def _settle_next(symbol: str) -> tuple[Settled, Book] | None:
    """One batch, done again from the start when the database interrupted it; an outage never fails an order."""
    attempt = 0
    while True:
        attempt += 1
        try:
            return _settle_batch(symbol)
        except BaseException as error:
            # The book in memory may hold what was never committed.
            books.forget(symbol)
            connection.close_if_unusable_or_obsolete()
            if not isinstance(error, OperationalError) or attempt == ATTEMPTS:
                raise
            logger.warning("batch of %s interrupted (attempt %d): %s", symbol, attempt, error)
            time.sleep(BACKOFF_SECONDS * attempt)


def _settle_batch(symbol: str) -> tuple[Settled, Book] | None:
    # A look without the lock: most bells that find nothing must not wait for the one that works.
    if not Command.objects.filter(market_id=symbol).exists():
        return None
    with transaction.atomic(durable=True):
        row = _lock(symbol)
        book = books.trusted(row)
        commands = _inbox(row)
        if not commands:
            books.remember(symbol, row.token, book)
            return None
        market = Market.objects.get(symbol=symbol)
        batch = _decide(market, book, commands)
        token, settled = store(row, book, batch, _clock(row))
    # Only now does the memory stand for what is stored.
    books.remember(symbol, token, book)
    return settled, book


def _lock(symbol: str) -> OrderBook:
    """The book's row, locked."""
    locked = OrderBook.objects.select_for_update().filter(market_id=symbol)
    row = locked.first()
    if row is None:
        # The market's first order: whoever comes second waits for the row and finds it.
        OrderBook.objects.bulk_create([OrderBook(market_id=symbol)], ignore_conflicts=True)
        row = locked.get()
    return row


def _clock(row: OrderBook) -> datetime:
    """The database's clock, on which workers on several hosts agree.

    Asked after the lock: the statement that waits for it carries the time at which it began to wait.
    """
    now: datetime = OrderBook.objects.filter(pk=row.pk).values_list(Now(), flat=True).get()
    return now


def _inbox(row: OrderBook) -> list[Command]:
    """The next commands: first the one that is not finished, then by id.

    Ids do not commit in order. A smaller one may show up between two transactions of a large taker, and must not
    overtake it.
    """
    waiting = Command.objects.filter(market_id=row.market_id).order_by("id")
    if row.unfinished_order_id is None:
        return list(waiting[: settings.ENGINE_BATCH_SIZE])
    unfinished = waiting.get(kind=CommandKind.NEW, order_id=row.unfinished_order_id)
    return [unfinished, *waiting.exclude(id=unfinished.id)[: settings.ENGINE_BATCH_SIZE - 1]]


def _decide(market: Market, book: Book, commands: Sequence[Command]) -> Batch:
    """Apply the commands to the book in order, up to the transaction's limit of fills."""
    batch = Batch(market)
    orders = _orders(commands)
    funds = _Funds(market, batch, orders.values())
    for command in commands:
        # A step makes two events at the most, a fill's.
        steps = settings.ENGINE_FILLS_PER_TRANSACTION - len(batch.events) // 2
        if steps <= 0:
            break
        outcome = _apply(market, book, command, orders.get(command.order_id), funds, steps)
        batch.add(command, outcome)
        if not outcome.finished:
            break
    return batch


def _apply(
    market: Market, book: Book, command: Command, order: CoreOrder | None, funds: "_Funds", steps: int
) -> Outcome:
    if command.kind == CommandKind.CANCEL:
        return book.cancel(command.order_id)
    assert order is not None, f"command {command.id} names order {command.order_id}, which does not exist"
    if market.status != MarketStatus.TRADING and order.status is Status.PENDING:
        return book.refuse(order, Status.REJECTED, Reason.MARKET_HALTED)
    if _spends_available(order):
        spendable = order.filled_notional + funds.available(order.user_id)
        # A taker that goes on in a second transaction keeps its first budget: what it earned meanwhile, by trading with
        # itself, must not depend on where the transactions were divided.
        order.budget = spendable if order.budget is None else min(order.budget, spendable)
    return book.place(order, max_steps=steps)


def _orders(commands: Sequence[Command]) -> dict[int, CoreOrder]:
    """The orders of the NEW commands, by id: a plain read under the book's lock."""
    ids = [command.order_id for command in commands if command.kind == CommandKind.NEW]
    rows = Order.objects.filter(id__in=ids).values_list(*books.CORE_COLUMNS)
    return {row[0]: books.core_order(row) for row in rows}


def _spends_available(order: CoreOrder) -> bool:
    """A MARKET BUY by quantity froze nothing ahead: nobody knew its price."""
    return order.type is OrderType.MARKET and order.side is Side.BUY and order.quantity is not None


class _Funds:
    """The available quote of the batch's market buyers, locked before anything is decided, as the batch changes it."""

    def __init__(self, market: Market, batch: Batch, orders: Iterable[CoreOrder]) -> None:
        self.currency = market.quote_id
        self.batch = batch
        keys = {(order.user_id, self.currency) for order in orders if _spends_available(order)}
        self.locked = {key: to_units(balance.available) for key, balance in lock_balances(keys).items()}

    def available(self, user_id: int) -> int:
        return self.locked[user_id, self.currency] + self.batch.gained(user_id, self.currency)
