"""Orders that rest: the book of a market, as its rows have it."""

from django.db.models import QuerySet

from core.types import Phase
from orders.models import Order


def resting_orders(symbol: str) -> QuerySet[Order]:
    """What rests in the market's book. A taker that is on its way through it does not."""
    return Order.objects.filter(market_id=symbol, phase=Phase.RESTING)
