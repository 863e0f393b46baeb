"""What the stored resting orders of a market say of its prices. They are the book, as far as it is committed."""

from decimal import Decimal

from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce

from base.storage.fields import amount
from core.types import Phase, Side
from markets.models import Trade
from orders.models import Order

# How much of a resting order a taker can reach; and how much the book shows, which is the tip of an iceberg.
REACHABLE = F("quantity") - F("filled_quantity") - Coalesce(F("prevented_quantity"), amount(Decimal(0)))
VISIBLE = Coalesce(F("tip"), REACHABLE)


def resting_orders(symbol: str) -> QuerySet[Order]:
    """The stored resting orders of the market. An unfinished taker is not one of them."""
    return Order.objects.filter(market_id=symbol, phase=Phase.RESTING)


def best_prices(symbol: str) -> tuple[Decimal | None, Decimal | None]:
    """The best bid and the best ask."""
    bid, ask = (
        resting_orders(symbol).filter(side=side.value).order_by(first).values_list("price", flat=True).first()
        for side, first in ((Side.BUY, "-price"), (Side.SELL, "price"))
    )
    return bid, ask


def last_price(symbol: str) -> Decimal | None:
    """The price of the last trade."""
    trades = Trade.objects.filter(market_id=symbol).order_by("-sequence")
    last: Decimal | None = trades.values_list("price", flat=True).first()
    return last


def reference_price(symbol: str) -> Decimal | None:
    """The last trade's price, else the middle of the best bid and the best ask, else None."""
    last = last_price(symbol)
    if last is not None:
        return last
    bid, ask = best_prices(symbol)
    return None if bid is None or ask is None else (bid + ask) / 2
