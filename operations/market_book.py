"""The book on a market's page in the admin: both sides with bars of depth, and what was traded last.

What it shows is public, and read as `GET /orderbook` and `GET /trades` read it. The page renews it every few seconds.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from base.web.errors import MarketNotFound
from core.money import plain
from marketdata import answers
from marketdata.indicative import find_order_book
from marketdata.shared_answers import find_trades
from markets.services import known_market

VIEW_PERMISSION = "markets.view_market"
# The most levels of a side, and trades, that are shown.
LEVELS, TRADES = 12, 12
# The width of the longest bar.
FULL = 100


class Row(NamedTuple):
    """A level with the length of its bar, where the bar of the other side begins, and what rests down to it."""

    price: str
    quantity: str
    orders: int
    length: str
    rest: str
    total: str


def book_block(request: HttpRequest, symbol: str) -> SafeString | str:
    """The book, with the address from which the page's script renews it; for who may see markets."""
    if not request.user.has_perm(VIEW_PERMISSION):
        return ""
    context = {**read_book(symbol), "address": reverse("book", args=[symbol])}
    return render_to_string("admin/book_block.html", context)


@never_cache
@require_safe
def book(request: HttpRequest, symbol: str) -> HttpResponse:
    """The same without the page around it. For staff alone, because the URL is the admin's."""
    if not request.user.has_perm(VIEW_PERMISSION):
        raise PermissionDenied
    try:
        context = read_book(known_market(symbol).symbol)
    except MarketNotFound as error:
        raise Http404 from error
    return HttpResponse(render_to_string("admin/book.html", context))


def read_book(symbol: str) -> dict[str, Any]:
    depth = find_order_book(symbol, LEVELS)
    trades, _ = find_trades(symbol, None, None, None, TRADES)
    bids, asks = ladder(depth["bids"], depth["asks"])
    return {"depth": depth, "bids": bids, "asks": asks, "trades": trades}


def ladder(*sides: Sequence[answers.Level]) -> list[list[Row]]:
    """The levels of each side. The longest bar of all is that of the level where most rests."""
    most = max((Decimal(level["quantity"]) for side in sides for level in side), default=Decimal(1))
    return [list(_rows(side, most)) for side in sides]


def _rows(levels: Sequence[answers.Level], most: Decimal) -> list[Row]:
    rows, total = [], Decimal(0)
    for level in levels:
        quantity = Decimal(level["quantity"])
        total += quantity
        # At least one hundredth, so that each level has a bar.
        length = max(Decimal(1), quantity * FULL / most)
        rows.append(
            Row(
                level["price"],
                level["quantity"],
                level["orderCount"],
                f"{length:.1f}",
                f"{FULL - length:.1f}",
                plain(total),
            )
        )
    return rows
