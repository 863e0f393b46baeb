"""The order book as it is shown: levels, best first."""

from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Sum

from exchange.amounts import AmountField, plain
from matching.core.types import Side, Status
from matching.models import Command, CommandKind, OrderBook
from orders.models import Order

_RESTING = (Status.OPEN.value, Status.PARTIALLY_FILLED.value)


def read_depth(symbol: str, limit: int) -> dict[str, Any]:
    """The best levels of both sides from the resting orders, as of the book's last committed sequence."""
    row = OrderBook.objects.filter(market_id=symbol).only("next_sequence").first()
    bids, asks = _levels(symbol, Side.BUY, limit), _levels(symbol, Side.SELL, limit)
    best_bid = bids[0][0] if bids else None
    best_ask = asks[0][0] if asks else None
    spread = best_ask - best_bid if best_bid is not None and best_ask is not None else None
    return {
        "symbol": symbol,
        "sequence": row.next_sequence - 1 if row else 0,
        "bids": [_represent(*level) for level in bids],
        "asks": [_represent(*level) for level in asks],
        "bestBid": None if best_bid is None else plain(best_bid),
        "bestAsk": None if best_ask is None else plain(best_ask),
        "spread": None if spread is None else plain(spread),
    }


def _levels(symbol: str, side: Side, limit: int) -> list[tuple[Any, Any, int]]:
    unfinished = Command.objects.filter(market_id=symbol, kind=CommandKind.NEW).values("order_id")
    levels = (
        Order.objects.filter(market_id=symbol, active=True, side=side.value, status__in=_RESTING)
        .exclude(id__in=unfinished)
        .values("price")
        .annotate(left=Sum(F("quantity") - F("filled_quantity"), output_field=AmountField()), orders=Count("id"))
        .order_by("-price" if side is Side.BUY else "price")
    )
    return [(level["price"], level["left"], level["orders"]) for level in levels[:limit]]


def _represent(price: Decimal, quantity: Decimal, orders: int) -> dict[str, Any]:
    return {"price": plain(price), "quantity": plain(quantity), "orderCount": orders}
