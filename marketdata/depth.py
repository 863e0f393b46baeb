"""The order book as it is shown: levels, best first."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, OuterRef, QuerySet, Subquery

from base.storage.fields import AmountSum
from core.book import Book
from core.money import plain, plain_or_none, to_decimal
from core.types import Side, Status
from markets.models import Market
from matching.books import resting_orders
from matching.models import OrderBook
from orders.models import Order

CONSISTENT_ATTEMPTS = 3
_APPLIED = (Status.OPEN.value, Status.PARTIALLY_FILLED.value)

Level = tuple[Decimal, Decimal, int]


def read_depth(symbol: str, limit: int) -> dict[str, Any]:
    """The best levels of both sides from the resting orders, and the sequence that they belong to.

    The sides are read one after the other, without the book's lock: when a batch was committed in between they are read
    again, so that they belong together. A book that changes faster than that is shown as it was last read.
    """
    row = _row(symbol)
    for _ in range(CONSISTENT_ATTEMPTS):
        bids, asks = _levels(row, Side.BUY, limit), _levels(row, Side.SELL, limit)
        before, row = row, _row(symbol)
        if row.next_sequence == before.next_sequence:
            break
    return represent_depth(symbol, row.next_sequence - 1, bids, asks)


def read_best(symbol: str) -> tuple[Decimal | None, Decimal | None]:
    """The best bid and the best ask."""
    row = _row(symbol)
    bid, ask = (
        _side(row, side).order_by(_best_first(side)).values_list("price", flat=True).first()
        for side in (Side.BUY, Side.SELL)
    )
    return bid, ask


def read_bests(symbols: Sequence[str]) -> dict[str, tuple[Decimal | None, Decimal | None]]:
    """The best bid and ask of many markets by one query, each the end of an index.

    For somebody who looks on: a taker that is on its way through the book may be among them for a moment.
    """
    resting = Order.objects.filter(market_id=OuterRef("pk"), active=True, status__in=_APPLIED)
    best: Any = {
        name: Subquery(resting.filter(side=side.value).order_by(_best_first(side)).values("price")[:1])
        for name, side in (("bid", Side.BUY), ("ask", Side.SELL))
    }
    rows: Any = Market.objects.filter(pk__in=symbols).annotate(**best)
    return {market.pk: (market.bid, market.ask) for market in rows.only("pk")}


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
        "bestBid": plain_or_none(best_bid),
        "bestAsk": plain_or_none(best_ask),
        "spread": plain_or_none(spread),
    }


def represent_book(symbol: str, book: Book, limit: int) -> dict[str, Any]:
    """The depth of the book in memory, as read_depth would read it once the batch is committed."""
    bids, asks = (
        [(to_decimal(price), to_decimal(quantity), orders) for price, quantity, orders in book.depth(side, limit)]
        for side in (Side.BUY, Side.SELL)
    )
    return represent_depth(symbol, book.next_sequence - 1, bids, asks)


def _row(symbol: str) -> OrderBook:
    return OrderBook.objects.filter(market_id=symbol).first() or OrderBook(market_id=symbol)


def _side(row: OrderBook, side: Side) -> QuerySet[Order]:
    return resting_orders(row).filter(side=side.value)


def _best_first(side: Side) -> str:
    return "-price" if side is Side.BUY else "price"


def _levels(row: OrderBook, side: Side, limit: int) -> list[Level]:
    levels: Any = (
        _side(row, side)
        .values("price")
        .annotate(left=AmountSum(F("quantity") - F("filled_quantity")), orders=Count("id"))
        .order_by(_best_first(side))
    )
    return [(level["price"], level["left"], level["orders"]) for level in levels[:limit]]


def _represent(price: Decimal, quantity: Decimal, orders: int) -> dict[str, Any]:
    return {"price": plain(price), "quantity": plain(quantity), "orderCount": orders}
