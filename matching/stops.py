"""The stops of a market: read with its book, and what a batch writes of them beside the orders' rows.

They are always read from their rows, also where the book is from a snapshot.
"""

from collections.abc import Iterable
from datetime import datetime

from django.db import connection
from django.db.models import Q

from base.storage.bulk import write_inserts
from base.storage.literals import Dialect, dialect
from base.storage.statements import Statement, execute
from commands.models import Command
from core.batch import Batch
from core.market import Market
from core.money import to_units
from core.trailing import Entry, TrailChange
from core.types import CommandKind, OrderType, Phase, Side
from matching.order_rows import CORE_COLUMNS, core_order
from orders.models import Order, Trail


def load_stops(market: Market) -> None:
    """Let the stored stops wait in the market. Raises ValueError if one has come after the market's next event."""
    symbol = market.rules.symbol
    query = Order.objects.filter(market_id=symbol, phase=Phase.WAITING).order_by("sequence").values_list(*CORE_COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(*query.query.sql_with_params())
        orders = [core_order(row) for row in cursor.fetchall()]
    if not orders:
        return
    newest = orders[-1].sequence or 0
    if newest >= market.book.next_sequence:
        raise ValueError(f"an order waits since event {newest}, the next one is {market.book.next_sequence}")
    trails: dict[Side, list[Entry]] = {}
    if any(order.type is OrderType.TRAILING_STOP for order in orders):
        for entry in Trail.objects.filter(market_id=symbol):
            trails.setdefault(Side(entry.side), []).append(Entry(entry.from_sequence, to_units(entry.extreme)))
    market.book.stops.load(orders, trails)


def trigger_commands(batch: Batch, now: datetime, to: Dialect) -> list[Statement]:
    """The commands of the orders that were triggered and have not fired, in their order."""
    symbol, kind = batch.rules.symbol, CommandKind.TRIGGER.value
    rows = [(symbol, kind, order.id, now) for order in batch.triggered]
    return write_inserts(to, Command, ("market", "kind", "order_id", "created_at"), rows)


def store_trails(symbol: str, changes: Iterable[TrailChange]) -> None:
    """Store where the trails stand after a batch."""
    for side, cut, removed, entries in changes:
        gone = Q(from_sequence__in=removed)
        if cut is not None:
            gone |= Q(from_sequence__gte=cut)
        Trail.objects.filter(gone, market_id=symbol, side=side.value).delete()
        rows = [(symbol, side, *entry) for entry in entries]
        execute(write_inserts(dialect(), Trail, ("market", "side", "from_sequence", "extreme"), rows))
