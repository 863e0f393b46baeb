"""Fills as their owner reads them, newest first over all orders.

A trade has two halves. The halves of a user are held by two indexes, of buyers and of sellers, market by market; each
is read from where the page begins, and the newest of all of them are the page. So a page costs two look-ups for each
market and no more, however much was traded before it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import F, QuerySet

from base.storage.bulk import batched
from base.storage.indexes import along_index
from base.web.exports import Page, PageReader
from core.types import Side
from markets.models import Trade
from orders.models import Order
from orders.representation import represent_fill

# The number that follows twice the trade's id in the place of a fill: a trade with oneself is two fills.
_SIDES = (Side.SELL, Side.BUY)
# SQLite joins at most 500.
_MOST_JOINED = 400

# The side of a half, the columns by which it is found, and the index that holds them where it has a name of ours.
Half = tuple[Side, Mapping[str, Any], str]


def halves_of_user(user_id: int, symbols: Iterable[str]) -> list[Half]:
    """All that the user bought and sold in these markets."""
    found: list[Half] = []
    for symbol in symbols:
        found.append((Side.BUY, {"buyer_id": user_id, "market_id": symbol}, "trade_buyer"))
        found.append((Side.SELL, {"seller_id": user_id, "market_id": symbol}, "trade_seller"))
    return found


def halves_of_order(order: Order) -> list[Half]:
    """What the order traded."""
    return [(Side(order.side), {"buy_order_id" if order.side == Side.BUY else "sell_order_id": order.id}, "")]


def newest_fills(trades: QuerySet[Trade], halves: Sequence[Half]) -> PageReader:
    """Reads these halves of the trades, newest first."""

    def read(cursor: int | None, limit: int) -> Page:
        places = _newest([(_places(trades.filter(**of), side, cursor, limit + 1), by) for side, of, by in halves])
        shown = places[:limit]
        found = Trade.objects.select_related("market").in_bulk({place // 2 for place in shown})
        fills = [represent_fill(_SIDES[place % 2], found[place // 2]) for place in shown]
        return fills, shown[-1] if len(places) > limit else None

    return read


def _places(trades: QuerySet[Trade], side: Side, cursor: int | None, most: int) -> Any:
    """The places of the newest halves of that side before the cursor."""
    last = _SIDES.index(side)
    if cursor is not None:
        trades = trades.filter(pk__lte=(cursor - last - 1) // 2)
    return trades.annotate(place=F("pk") * 2 + last).order_by("-pk").values_list("place", flat=True)[:most]


def _newest(sources: Sequence[tuple[Any, str]]) -> list[int]:
    """What the queries find along their indexes, newest first; by one statement, for Django joins none with a LIMIT."""
    found: list[int] = []
    for some in batched(sources, _MOST_JOINED):
        statements, values = zip(*(along_index(*source) for source in some), strict=True)
        joined = " UNION ALL ".join(f"SELECT * FROM ({each}) AS s{n}" for n, each in enumerate(statements))  # noqa: S608
        with connection.cursor() as cursor:
            cursor.execute(joined, [value for each in values for value in each])
            found += [int(place) for (place,) in cursor.fetchall()]
    return sorted(found, reverse=True)
