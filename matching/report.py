"""What a committed batch adds to the counters: for the other thread, beside the telling."""

from collections import Counter

from django.utils import timezone

from base.telemetry.metrics import (
    BATCH_COMMANDS,
    ENGINE,
    ORDER_EVENTS,
    ORDER_SECONDS,
    ORDERS_FAILED,
    ORDERS_PROCESSED,
    ORDERS_REJECTED,
    TRADES,
)
from core.types import Status
from matching.batch import Batch
from orders.telling import Note


def count(batch: Batch) -> None:
    """An order's seconds go from its acceptance, by the clock of the server that took it, to now, by this worker's."""
    symbol, now = batch.market.symbol, timezone.now()
    BATCH_COMMANDS.labels(symbol).observe(len(batch.done))
    TRADES.labels(symbol).inc(len(batch.trades))
    orders = [command.order for command in batch.done if command.order is not None]
    ORDERS_PROCESSED.labels(symbol).inc(len(orders))
    seconds = ORDER_SECONDS.labels(symbol)
    for order in orders:
        assert isinstance(order.note, Note), order
        seconds.observe(max(0.0, (now - order.note.created_at).total_seconds()))
    for (status, reason), number in Counter((event.status, event.reason) for event in batch.events).items():
        ORDER_EVENTS.labels(symbol, status.value).inc(number)
        if status is Status.REJECTED:
            ORDERS_REJECTED.labels(symbol, str(reason), ENGINE).inc(number)
        if status is Status.FAILED:
            ORDERS_FAILED.labels(symbol).inc(number)
