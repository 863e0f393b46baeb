"""The last trade of each market."""

from collections.abc import Iterable

from django.db.models import OuterRef, Subquery

from markets.models import Market, Trade


def last_trades(symbols: Iterable[str]) -> dict[str, Trade]:
    """By two queries, however many markets: each reads the end of the index of the market's numbers."""
    newest = Trade.objects.filter(market_id=OuterRef("pk")).order_by("-sequence").values("pk")[:1]
    markets = Market.objects.filter(pk__in=list(symbols))
    ids = [trade_id for trade_id in markets.values_list(Subquery(newest), flat=True) if trade_id is not None]
    return {trade.market_id: trade for trade in Trade.objects.filter(pk__in=ids)}
