"""The check of a book's snapshot: some of the orders that a worker would start with are compared with their rows."""

import random

from audit.checks import Check, Report
from audit.rows import OrderRow
from audit.scope import Scope
from core.money import plain_units
from core.types import Order, Phase
from matching import books
from matching.models import OrderBook

MOST_COMPARED = 500


def check_snapshot(report: Report, scope: Scope) -> None:
    """Compare the newest snapshot of the market's book, brought forward to the audit's moment, with the rows."""
    symbol = scope.market.symbol
    row = OrderBook.objects.filter(pk=symbol).first()
    if row is None:
        return
    try:
        market = books.restore_snapshot(row)
    except Exception as error:
        report.add(Check.SNAPSHOT, "it cannot be read", [f"market {symbol}"], "the book of the rows", repr(error))
        return
    if market is None:
        return
    resting = [order for order in scope.orders.values() if order.phase == Phase.RESTING]
    compared = random.sample(resting, min(MOST_COMPARED, len(resting)))
    report.count([Check.SNAPSHOT], len(compared))
    for order in compared:
        expected, actual = _of_row(order), _of_core(market.book.find(order.id))
        if expected != actual:
            report.add(Check.SNAPSHOT, "another order", [order.name], expected, actual)


def _of_row(order: OrderRow) -> str:
    amounts = (order.price, order.quantity, order.filled_quantity, order.filled_notional, order.frozen)
    return _shown(order.user_id, order.side, order.status, order.sequence, *amounts)


def _of_core(order: Order | None) -> str:
    if order is None:
        return "none"
    amounts = (order.price, order.quantity, order.filled, order.filled_notional, order.frozen)
    return _shown(order.user_id, order.side, order.status, order.sequence, *amounts)


def _shown(user_id: int, side: str, status: str, sequence: int | None, *amounts: int | None) -> str:
    numbers = " ".join(plain_units(amount or 0) for amount in amounts)
    return f"user {user_id} {side} {status} of event {sequence}: {numbers}"
