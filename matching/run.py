"""What one matching run did: the Celery task's result, which Flower shows."""

from dataclasses import dataclass, field
from typing import Any

from base.storage.fields import plain_units
from matching.batch import Batch
from orders.telling import Note

# A run may apply thousands of orders; its result is there to be read by people.
MOST_SHOWN = 20


@dataclass
class Run:
    """Counts of all that was done, and the first few orders and trades of it."""

    symbol: str
    commands: int = 0
    trades: int = 0
    batches: int = 0
    # How long the book's row was locked at the longest.
    longest_ms: float = 0
    first_orders: dict[int, dict[str, Any]] = field(default_factory=dict)
    first_trades: list[dict[str, str]] = field(default_factory=list)

    def add(self, batch: Batch, locked_seconds: float) -> None:
        """Take in a batch that was committed."""
        self.commands += len(batch.done)
        self.trades += len(batch.trades)
        self.batches += 1
        self.longest_ms = max(self.longest_ms, round(locked_seconds * 1000, 1))
        self.show(batch)

    def show(self, batch: Batch) -> None:
        for event in batch.events[: MOST_SHOWN * 2]:
            order, note = event.order, event.order.note
            if order.id in self.first_orders or len(self.first_orders) < MOST_SHOWN:
                assert isinstance(note, Note), order
                self.first_orders[order.id] = {
                    "orderId": order.id,
                    "correlationId": note.correlation_id,
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
