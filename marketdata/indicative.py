"""The indicative price of a market in an auction, for who reads its depth: from the stored rows, by a shared reading.

The worker publishes it with each depth from the book in memory. From the rows it is the price of what is committed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import QuerySet

from base.storage.fields import AmountSum
from base.storage.shared_readings import SharedReadings
from core.auction import Equilibrium, Wanted, equilibrium
from core.money import to_units
from core.types import MarketStatus, Side
from marketdata import answers
from marketdata.depth import with_indicative
from marketdata.depth_cache import BookState, find_depth, states_of
from markets.services import known_market
from orders.models import Order
from orders.resting import REACHABLE, best_prices, last_price, resting_orders

# More levels than these between the best ask and the best bid are left out, the furthest first.
MOST_LEVELS = 10_000
_READINGS_KEPT = 64


def find_order_book(symbol: str, limit: int) -> answers.OrderBook:
    """The depth as it is now; in an auction with what would trade if it ended now. Raises MarketNotFound."""
    depth = find_depth(symbol, limit)
    if known_market(symbol).status != MarketStatus.AUCTION:
        return depth
    return with_indicative(depth, _shared.one(symbol))


def read_indicative(symbol: str) -> Equilibrium | None:
    """The price and quantity at which the stored orders would trade now."""
    bid, ask = best_prices(symbol)
    if bid is None or ask is None or bid < ask:
        return None
    crossing = resting_orders(symbol).filter(price__gte=ask, price__lte=bid)
    bids, asks = _wanted(crossing, Side.BUY, "-price"), _wanted(crossing, Side.SELL, "price")
    last = last_price(symbol)
    return equilibrium(bids, asks, None if last is None else to_units(last))


def _wanted(crossing: QuerySet[Order], side: Side, best_first: str) -> list[Wanted]:
    levels: Any = crossing.filter(side=side.value).values("price").annotate(wanted=AmountSum(REACHABLE))
    return [
        (to_units(level["price"]), to_units(level["wanted"])) for level in levels.order_by(best_first)[:MOST_LEVELS]
    ]


def _versions(symbols: Sequence[str]) -> Mapping[str, BookState]:
    return states_of(symbols)


_shared: SharedReadings[str, Equilibrium | None] = SharedReadings(
    _READINGS_KEPT, _versions, lambda symbols: [read_indicative(symbol) for symbol in symbols]
)
