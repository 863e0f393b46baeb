"""The best level of each side, with what stands there: of one market, of some and of all, as shared readings.

Their version is the state of the market's book, which changes with each commit of its worker.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from django.db.models import Q

from base.storage.bulk import batched
from base.storage.fields import AmountSum
from base.storage.shared_readings import SharedReadings
from core.types import Phase, Side
from marketdata.depth import read_bests
from marketdata.depth_cache import BookState, read_states, states_of
from orders.models import Order
from orders.resting import VISIBLE

_KEPT = 10_000
# So many markets are read together.
_AT_ONCE = 200
_BUY, _SELL = Side.BUY.value, Side.SELL.value
Level = tuple[Decimal, Decimal]


class Top(NamedTuple):
    """The best level of each side: its price and what stands there; None of a side that is empty."""

    bid: Level | None
    ask: Level | None


def read_tops(symbols: Sequence[str]) -> Mapping[str, Top]:
    """Those of the markets. Only those are read in which something has happened since; one that had no order yet has
    none.
    """
    begun = _versions(symbols)
    wanted = [symbol for symbol in symbols if symbol in begun]
    return dict(zip(wanted, shared_tops.many(wanted), strict=True))


def _stored_tops(symbols: Sequence[str]) -> Iterator[Top]:
    """From the rows, by two queries for some hundred markets."""
    for some in batched(symbols, _AT_ONCE):
        bests = read_bests(some)
        standing = _standing([(symbol, *bests[symbol]) for symbol in some])
        for symbol in some:
            bid, ask = bests[symbol]
            yield Top(_level(bid, standing.get((symbol, _BUY))), _level(ask, standing.get((symbol, _SELL))))


def _standing(bests: Sequence[tuple[str, Decimal | None, Decimal | None]]) -> dict[tuple[str, str], Decimal]:
    """What stands at the best prices, by market and side."""
    places = [(symbol, _BUY, bid) for symbol, bid, _ in bests] + [(symbol, _SELL, ask) for symbol, _, ask in bests]
    wanted = [Q(market_id=symbol, side=side, price=price) for symbol, side, price in places if price is not None]
    if not wanted:
        return {}
    rows: Any = Order.objects.filter(reduce(or_, wanted), phase=Phase.RESTING).order_by()
    found = rows.values("market_id", "side").annotate(stands=AmountSum(VISIBLE))
    return {(row["market_id"], row["side"]): row["stands"] for row in found}


def _level(price: Decimal | None, stands: Decimal | None) -> Level | None:
    """A level that went between the two queries is as good as none."""
    return None if price is None or stands is None else (price, stands)


def _versions(symbols: Sequence[str]) -> Mapping[str, BookState]:
    states = states_of(symbols) if len(symbols) == 1 else read_states()
    return {symbol: states[symbol] for symbol in symbols if symbol in states}


shared_tops: SharedReadings[str, Top] = SharedReadings(_KEPT, _versions, _stored_tops)
