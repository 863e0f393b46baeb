"""A user's orders and fills in the order that Binance's clients ask for: from an id or a time on, else the newest.

They are read in pages as long as those of our own lists, and of orders no more are looked at for those of a market.
Where that does not suffice the call is refused, because these clients take a short list for a complete one.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from base.storage.indexes import fetch_keys, fetch_rows
from base.storage.time_search import made_between
from base.web.exports import Page, PageReader
from base.web.lists import MOST_READ, READ_AT_ONCE, by_index
from base.web.queries import MOST
from binance_api.errors import Refused
from core.types import ACTIVE_PHASES, Side
from markets.models import Trade
from markets.services import known_market
from orders.fills import Half, newest_fills
from orders.models import Order
from orders.representation import represent_fill
from orders.trails import set_stop_prices

MOST_ORDERS = MOST_FILLS = 1_000
# As in `orders.fills`: twice the trade's id and this, so that a trade with oneself has two places.
_SIDES = (Side.SELL, Side.BUY)


def in_pages(limit: int, read: PageReader) -> list[Any]:
    """So many rows, read in pages as long as those of our own lists, and in no more of them than that takes.

    Raises Refused where there may be more rows than these pages have found.
    """
    found: list[Any] = []
    cursor = None
    for _ in range(-(-limit // MOST)):
        page, cursor = read(cursor, min(MOST, limit - len(found)))
        found += page
        if cursor is None:
            break
    if cursor is not None and len(found) < limit:
        raise _too_far()
    return found


def _too_far() -> Refused:
    return Refused(
        -1127,
        f"Lookup interval is too big. More than {MOST_READ} orders in other markets: send startTime and endTime.",
    )


def after(end: datetime | None) -> datetime | None:
    """Just after it: Binance counts the last millisecond in."""
    return None if end is None else end + timedelta(milliseconds=1)


def open_orders(user_id: int, symbol: str | None, most: int = MOST_ORDERS) -> list[Order]:
    """The user's newest open orders, oldest first; in one market or in all."""
    states = [{"phase": phase} for phase in ACTIVE_PHASES]
    return _newest_orders(Order.objects.filter(user_id=user_id), "order_user_phase", symbol, most, states)


def newest_orders(user_id: int, symbol: str, end: datetime | None, limit: int) -> list[Order]:
    """The user's newest orders in the market, oldest first; before an end, if one is given."""
    mine = made_between(Order.objects.filter(user_id=user_id), None, after(end))
    return _newest_orders(mine, "order_user", symbol, limit, None)


def _newest_orders(rows: Any, index: str, symbol: str | None, limit: int, states: Any) -> list[Order]:
    narrow = None if symbol is None else {"market_id": symbol}
    read = by_index(rows, index, cast(Any, lambda row: row), states=states, narrow=narrow, complete=set_stop_prices)
    return in_pages(limit, read)[::-1]


def orders_from(
    user_id: int, symbol: str, first: int | None, start: datetime | None, end: datetime | None, limit: int
) -> list[Order]:
    """The user's orders in the market from an id or a time on, oldest first. Raises Refused as `in_pages`."""
    mine = made_between(Order.objects.filter(user_id=user_id), start, after(end))
    found: list[Order] = []
    last = 0 if first is None else first - 1
    for _ in range(MOST_READ // READ_AT_ONCE):
        keys = fetch_keys(
            mine.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:READ_AT_ONCE], "order_user"
        )
        found += Order.objects.filter(pk__in=keys, market_id=symbol).order_by("pk")
        if len(keys) < READ_AT_ONCE or len(found) >= limit:
            break
        last = keys[-1]
    else:
        raise _too_far()
    del found[limit:]
    set_stop_prices(found)
    return found


def own_fills(
    symbol: str,
    halves: Sequence[Half],
    first: int | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
) -> list[Any]:
    """These halves of the market's trades, oldest first: from a trade's number or a time on, else the newest."""
    trades = made_between(Trade.objects.all(), start, after(end))
    if first is None and start is None:
        return in_pages(limit, newest_fills(trades, halves))[::-1]
    if first is not None:
        since = Trade.objects.filter(market_id=symbol, sequence__gte=first).order_by("sequence")
        pk = since.values_list("pk", flat=True).first()
        if pk is None:
            return []
        trades = trades.filter(pk__gte=pk)
    return in_pages(limit, _oldest_fills(symbol, trades, halves))


def _oldest_fills(symbol: str, trades: Any, halves: Sequence[Half]) -> PageReader:
    market = known_market(symbol)

    def read(cursor: int | None, limit: int) -> Page:
        places: list[tuple[int, Trade]] = []
        for side, of, index in halves:
            last = _SIDES.index(side)
            rows = trades.filter(**of)
            if cursor is not None:
                rows = rows.filter(pk__gt=(cursor - last) // 2)
            places += [(trade.pk * 2 + last, trade) for trade in fetch_rows(rows.order_by("pk")[: limit + 1], index)]
        places.sort(key=lambda each: each[0])
        for _, trade in places[:limit]:
            trade.market = market
        shown = [represent_fill(_SIDES[place % 2], trade) for place, trade in places[:limit]]
        return shown, places[limit - 1][0] if len(places) > limit else None

    return read
