"""The number of each market's newest event, for answers that name what they include (`asOf`).

The engine counts a market's events in the row of its book, and commits the row with the events. The book's model stands
above this package, so it is named here, as a foreign key would name it, and not imported.

Whoever names the number must read it before the rows of the answer, or in the same statement. Each statement sees all
that was committed before it, so rows that are read after the number include the event.
"""

from typing import Any

from django.apps import apps
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from base.web.values import AsOf
from markets.models import Market


def newest_events(markets: QuerySet[Market] | None = None) -> AsOf:
    """The number of the newest event of these markets, or of all; 0 where there is none.

    One query, with one look-up by primary key for each market.
    """
    asked = Market.objects.all() if markets is None else markets
    return dict(asked.annotate(newest=newest_event("pk")).order_by("pk").values_list("pk", "newest"))


def newest_events_of(symbol: str | None) -> AsOf:
    """That of one market, or of all where no symbol is given; none where there is no such market."""
    return newest_events(None if symbol is None else Market.objects.filter(pk=symbol))


def newest_events_with(asset: str) -> AsOf:
    """Those of the markets in which the asset is traded, because only their events can change a balance of it."""
    return newest_events(Market.objects.filter(Q(base=asset) | Q(quote=asset)))


def newest_event(market: str) -> Any:
    """The same as an expression, in a query whose column `market` names the market."""
    book = apps.get_model("matching", "OrderBook").objects.filter(pk=OuterRef(market))
    return Coalesce(Subquery(book.values("next_sequence")[:1]) - 1, 0)
