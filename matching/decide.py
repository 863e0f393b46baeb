"""Deciding a batch: its commands applied to the book in order. Nothing here reads or writes the database."""

from collections.abc import Iterable, Mapping, Sequence

from core.book import Book
from core.types import TRADING_STATUS_AFTER, MarketStatus, Order, OrderType, Outcome, Reason, Side, Status
from markets.models import Market
from matching.batch import Batch
from matching.inbox import PendingCommand

# How many orders one taker meets in a transaction. Fewer than a batch may: each is a trade, the most there is to write,
# and the book is locked meanwhile.
LONGEST_SWEEP = 250
# What market buyers may spend, in units, by user. It is locked before anything is decided.
Spendable = Mapping[int, int]


def decide(
    market: Market,
    book: Book,
    commands: Sequence[PendingCommand],
    *,
    spendable: Spendable,
    status: str,
    most_fills: int,
) -> Batch:
    """Apply the commands to the book in order, up to the transaction's limit of fills.

    `status` is what the market was before them. A market that is not trading rejects new orders. An operator's switch
    never comes between two steps of one taker, for a taker that is not finished goes before any other command; that of
    a broken market does.
    """
    batch = Batch(market, status)
    for command in commands:
        # A step makes two events at the most, a fill's.
        left = most_fills - len(batch.events) // 2
        if left <= 0:
            break
        outcome = _apply(batch, book, command, spendable, min(left, LONGEST_SWEEP))
        batch.add(command, outcome)
        if not outcome.finished:
            break
    return batch


def market_buyers(commands: Iterable[PendingCommand]) -> set[int]:
    """The users whose available funds decide how much they buy."""
    orders = (command.order for command in commands)
    return {order.user_id for order in orders if order is not None and _spends_available(order)}


def _apply(batch: Batch, book: Book, command: PendingCommand, spendable: Spendable, steps: int) -> Outcome:
    if command.kind in TRADING_STATUS_AFTER:
        batch.switch(TRADING_STATUS_AFTER[command.kind], book.next_sequence, "by an operator")
        return Outcome([], [])
    order = command.order
    if order is None:
        return book.cancel(command.order_id)
    if batch.status != MarketStatus.TRADING:
        return book.refuse(order, Status.CANCELLED if order.filled else Status.REJECTED, Reason.MARKET_HALTED)
    if _spends_available(order):
        available = spendable[order.user_id] + batch.gained(order.user_id, batch.market.quote_id)
        budget = order.filled_notional + available
        # A taker that goes on in a second transaction keeps its first budget: what it earned meanwhile, by trading with
        # itself, must not depend on where the transactions were divided.
        order.budget = budget if order.budget is None else min(order.budget, budget)
    return book.place(order, max_steps=steps)


def _spends_available(order: Order) -> bool:
    """A MARKET BUY by quantity froze nothing ahead: nobody knew its price."""
    return order.type is OrderType.MARKET and order.side is Side.BUY and order.quantity is not None
