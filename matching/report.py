"""The counters of committed batches, and the report of a run."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

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
from core.batch import Batch
from core.money import plain_units
from core.types import CommandKind, Reason, Status
from orders.representation import OrderInfo

# Their orders were counted when they were new.
_SEEN = (CommandKind.AMEND, CommandKind.TRIGGER)


def count(batch: Batch) -> None:
    """Count a committed batch.

    An order's seconds are the time from its acceptance, by the clock of the server that accepted it, until now, by this
    worker's clock.
    """
    symbol, now = batch.rules.symbol, timezone.now()
    BATCH_COMMANDS.labels(symbol).observe(len(batch.done))
    TRADES.labels(symbol).inc(len(batch.trades))
    orders = [command.order for command in batch.done if command.order is not None and command.kind not in _SEEN]
    orders += [command.stop for command in batch.done if command.stop is not None]
    ORDERS_PROCESSED.labels(symbol).inc(len(orders))
    seconds = ORDER_SECONDS.labels(symbol)
    for order in orders:
        assert isinstance(order.info, OrderInfo), order
        seconds.observe(max(0.0, (now - order.info.created_at).total_seconds()))
    for (status, reason), number in Counter((event.status, event.reason) for event in batch.events).items():
        if reason is Reason.AMEND_REFUSED:
            # The order may have been closed long before.
            continue
        ORDER_EVENTS.labels(symbol, status.value).inc(number)
        if status is Status.REJECTED:
            ORDERS_REJECTED.labels(symbol, str(reason), ENGINE).inc(number)
        if status is Status.FAILED:
            ORDERS_FAILED.labels(symbol).inc(number)


# A run may apply thousands of orders; people read its report, so it shows the first of them.
MOST_SHOWN = 20


@dataclass
class Run:
    """The counts of a run, and its first orders and trades."""

    symbol: str
    commands: int = 0
    trades: int = 0
    batches: int = 0
    # The longest time for which the book's row was locked.
    longest_ms: float = 0
    first_orders: dict[int, dict[str, Any]] = field(default_factory=dict)
    first_trades: list[dict[str, str]] = field(default_factory=list)

    def add(self, batch: Batch, locked_seconds: float) -> None:
        """Add a batch that was committed."""
        self.commands += len(batch.done)
        self.trades += len(batch.trades)
        self.batches += 1
        self.longest_ms = max(self.longest_ms, round(locked_seconds * 1000, 1))
        self.show(batch)

    def show(self, batch: Batch) -> None:
        for event in batch.events[: MOST_SHOWN * 2]:
            order, info = event.order, event.order.info
            if order.id in self.first_orders or len(self.first_orders) < MOST_SHOWN:
                assert isinstance(info, OrderInfo), order
                self.first_orders[order.id] = {
                    "orderId": order.id,
                    "correlationId": info.correlation_id,
                    "status": event.status.value,
                    "filled": plain_units(event.filled),
                }
        for trade in batch.trades[: MOST_SHOWN - len(self.first_trades)]:
            self.first_trades.append(
                {
                    "tradeId": f"{self.symbol}-{trade.sequence}",
                    "price": plain_units(trade.price),
                    "quantity": plain_units(trade.quantity),
                }
            )

    def as_result(self) -> dict[str, Any]:
        return {
            "symbol": self.symbol,
            "commands": self.commands,
            "trades": self.trades,
            "batches": self.batches,
            "longestMs": self.longest_ms,
            "firstOrders": list(self.first_orders.values()),
            "firstTrades": self.first_trades,
        }
