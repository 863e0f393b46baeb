"""Depth: the best levels of a book, as clients see them."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Count, OuterRef, QuerySet

from base.storage.fields import AmountSum
from base.storage.indexes import first_along
from base.storage.snapshot import one_snapshot
from core.auction import Equilibrium, indicative
from core.book import Book
from core.money import plain_units, plain_units_or_none, to_units
from core.types import Phase, Side
from marketdata import answers
from markets.models import Market
from orders.models import Order, OrderEvent
from orders.resting import VISIBLE, resting_orders

CONSISTENT_ATTEMPTS = 3

# Price, quantity and number of orders; amounts in units.
Level = tuple[int, int, int]


class Depth(NamedTuple):
    """The best levels of both sides after the event of this number."""

    sequence: int
    bids: Sequence[Level]
    asks: Sequence[Level]


def read_depth(symbol: str, limit: int) -> answers.OrderBook:
    """The best levels of both sides from the stored resting orders, and the sequence of the market at that moment.

    The sides are read one after the other, without the book's lock. If a batch was committed in between, they are read
    again, so that both are of one moment: after a few attempts in one snapshot, which costs some statements more.
    """
    sequence = _newest_sequence(symbol)
    for _ in range(CONSISTENT_ATTEMPTS):
        bids, asks = read_levels(symbol, limit)
        before, sequence = sequence, _newest_sequence(symbol)
        if sequence == before:
            return represent_depth(symbol, Depth(sequence, bids, asks))
    with one_snapshot():
        return represent_depth(symbol, Depth(_newest_sequence(symbol), *read_levels(symbol, limit)))


def read_levels(symbol: str, limit: int) -> tuple[list[Level], list[Level]]:
    """The best levels of both sides from the stored resting orders, one side after the other."""
    return _levels(symbol, Side.BUY, limit), _levels(symbol, Side.SELL, limit)


def read_bests(symbols: Sequence[str]) -> dict[str, tuple[Decimal | None, Decimal | None]]:
    """The best bid and ask of many markets, by one query that reads one entry of an index for each."""
    resting = Order.objects.filter(market_id=OuterRef("pk"), phase=Phase.RESTING)
    best: Any = {
        name: first_along(
            *(resting.filter(side=side.value), "price"),
            *("market_id", "phase", "side", "price"),
            backwards=side is Side.BUY,
        )
        for name, side in (("bid", Side.BUY), ("ask", Side.SELL))
    }
    rows: Any = Market.objects.filter(pk__in=symbols).annotate(**best)
    return {market.pk: (market.bid, market.ask) for market in rows.only("pk")}


def represent_depth(symbol: str, depth: Depth) -> answers.OrderBook:
    """Depth as clients see it, over REST and over the stream."""
    sequence, bids, asks = depth
    best_bid = bids[0][0] if bids else None
    best_ask = asks[0][0] if asks else None
    spread = best_ask - best_bid if best_bid is not None and best_ask is not None else None
    return {
        "symbol": symbol,
        "sequence": sequence,
        "bids": [_represent(*level) for level in bids],
        "asks": [_represent(*level) for level in asks],
        "bestBid": plain_units_or_none(best_bid),
        "bestAsk": plain_units_or_none(best_ask),
        "spread": plain_units_or_none(spread),
    }


def take_depth(book: Book, limit: int) -> Depth:
    """The depth of the book in memory: what read_depth will read once the batch is committed."""
    return Depth(book.next_sequence - 1, book.depth(Side.BUY, limit), book.depth(Side.SELL, limit))


def represent_book(symbol: str, book: Book, limit: int) -> answers.OrderBook:
    """The same, as clients see it."""
    depth = represent_depth(symbol, take_depth(book, limit))
    return with_indicative(depth, indicative(book)) if book.collects else depth


def with_indicative(depth: answers.OrderBook, found: Equilibrium | None) -> answers.OrderBook:
    """The depth of a market in an auction, with what would trade if it ended now."""
    price, quantity = found or (None, 0)
    return {**depth, "indicativePrice": plain_units_or_none(price), "indicativeQuantity": plain_units(quantity)}


def _newest_sequence(symbol: str) -> int:
    """The number of the market's last event; 0 before the first."""
    events = OrderEvent.objects.filter(market_id=symbol).order_by("-sequence")
    return events.values_list("sequence", flat=True).first() or 0


def _side(symbol: str, side: Side) -> QuerySet[Order]:
    return resting_orders(symbol).filter(side=side.value)


def _best_first(side: Side) -> str:
    return "-price" if side is Side.BUY else "price"


def _levels(symbol: str, side: Side, limit: int) -> list[Level]:
    levels: Any = (
        _side(symbol, side)
        .values("price")
        .annotate(left=AmountSum(VISIBLE), orders=Count("id"))
        .order_by(_best_first(side))
    )
    return [(to_units(level["price"]), to_units(level["left"]), level["orders"]) for level in levels[:limit]]


def _represent(price: int, quantity: int, orders: int) -> answers.Level:
    return {"price": plain_units(price), "quantity": plain_units(quantity), "orderCount": orders}
