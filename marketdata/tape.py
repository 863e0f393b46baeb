"""The tape: trades as clients see them, and the last trade of each market."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import OuterRef, Subquery

from base.web.errors import timestamp
from core.money import plain_units, to_units
from marketdata import answers
from markets.models import Market, Trade


def last_trades(symbols: Iterable[str]) -> dict[str, Trade]:
    """The last trade of each market, by two queries, which read one entry of an index for each market."""
    newest = Trade.objects.filter(market_id=OuterRef("pk")).order_by("-sequence").values("pk")[:1]
    markets = Market.objects.filter(pk__in=list(symbols))
    ids = [trade_id for trade_id in markets.values_list(Subquery(newest), flat=True) if trade_id is not None]
    return {trade.market_id: trade for trade in Trade.objects.filter(pk__in=ids)}


def represent_trade(trade: Trade) -> answers.Trade:
    amounts = (to_units(trade.price), to_units(trade.quantity))
    return represent_print(trade.market_id, trade.sequence, *amounts, trade.taker_side, trade.created_at)


def represent_print(
    symbol: str, sequence: int, price: int, quantity: int, taker_side: str, created_at: datetime
) -> answers.Trade:
    """A trade as clients see it, over REST and over the stream. `price` and `quantity` are in units."""
    return {
        "tradeId": f"{symbol}-{sequence}",
        "sequence": sequence,
        "price": plain_units(price),
        "quantity": plain_units(quantity),
        "takerSide": taker_side,
        "createdAt": timestamp(created_at),
    }
