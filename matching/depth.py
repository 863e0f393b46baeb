"""The order book as it is shown: levels, best first."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Sum

from exchange.amounts import AmountField, plain
from matching.core.types import Side, Status
from matching.models import Command, CommandKind, OrderBook
from orders.models import Order

CONSISTENT_ATTEMPTS = 3
_RESTING = (Status.OPEN.value, Status.PARTIALLY_FILLED.value)


Level = tuple[Decimal, Decimal, int]


def read_depth(symbol: str, limit: int) -> dict[str, Any]:
    """The best levels of both sides from the resting orders, and the sequence that they belong to.

    The sides are read one after the other, without the book's lock: when a batch was committed in between they are read
    again, so that they belong together. A book that changes faster than that is shown as it was last read.
    """
    sequence = _last_sequence(symbol)
    for _ in range(CONSISTENT_ATTEMPTS):
        bids, asks = _levels(symbol, Side.BUY, limit), _levels(symbol, Side.SELL, limit)
        before, sequence = sequence, _last_sequence(symbol)
        if sequence == before:
            break
    return represent_depth(symbol, sequence, bids, asks)


def read_best(symbol: str) -> tuple[Decimal | None, Decimal | None]:
    """The best bid and the best ask."""
    best = (_levels(symbol, side, 1) for side in (Side.BUY, Side.SELL))
    bid, ask = (levels[0][0] if levels else None for levels in best)
    return bid, ask


def represent_depth(symbol: str, sequence: int, bids: Sequence[Level], asks: Sequence[Level]) -> dict[str, Any]:
    """Depth as clients see it, over REST and over the stream alike."""
    best_bid = bids[0][0] if bids else None
    best_ask = asks[0][0] if asks else None
    spread = best_ask - best_bid if best_bid is not None and best_ask is not None else None
    return {
        "symbol": symbol,
        "sequence": sequence,
        "bids": [_represent(*level) for level in bids],
        "asks": [_represent(*level) for level in asks],
        "bestBid": None if best_bid is None else plain(best_bid),
        "bestAsk": None if best_ask is None else plain(best_ask),
        "spread": None if spread is None else plain(spread),
    }


def _last_sequence(symbol: str) -> int:
    row = OrderBook.objects.filter(market_id=symbol).only("next_sequence").first()
    return row.next_sequence - 1 if row else 0


def _levels(symbol: str, side: Side, limit: int) -> list[Level]:
    unfinished = Command.objects.filter(market_id=symbol, kind=CommandKind.NEW).values("order_id")
    levels: Any = (
        Order.objects.filter(market_id=symbol, active=True, side=side.value, status__in=_RESTING)
        .exclude(id__in=unfinished)
        .values("price")
        .annotate(left=Sum(F("quantity") - F("filled_quantity"), output_field=AmountField()), orders=Count("id"))
        .order_by("-price" if side is Side.BUY else "price")
    )
    return [(level["price"], level["left"], level["orders"]) for level in levels[:limit]]


def _represent(price: Decimal, quantity: Decimal, orders: int) -> dict[str, Any]:
    return {"price": plain(price), "quantity": plain(quantity), "orderCount": orders}
