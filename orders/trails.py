"""Where TRAILING_STOPs stand: their stop prices follow the last price, and are not written into their rows."""

from bisect import bisect_right
from collections.abc import Iterable

from django.db.models import Q

from core.money import to_decimal, to_units
from core.trailing import trailing_stop_price
from core.types import OrderType, Phase
from orders import answers
from orders.models import Order, Trail
from orders.representation import represent_order


def show_order(order: Order) -> answers.Order:
    """An order's full state, with the stop price of one that trails as it stands now."""
    set_stop_prices([order])
    return represent_order(order)


def set_stop_prices(orders: Iterable[Order]) -> None:
    """Set the stop prices of those that wait as TRAILING_STOP, by one query if there are any."""
    trailing = [order for order in orders if order.type == OrderType.TRAILING_STOP and order.phase == Phase.WAITING]
    if not trailing:
        return
    wanted = Q()
    for market, side in {(order.market_id, order.side) for order in trailing}:
        wanted |= Q(market=market, side=side)
    entries: dict[tuple[str, str], list[Trail]] = {}
    for entry in Trail.objects.filter(wanted).order_by("from_sequence"):
        entries.setdefault((entry.market_id, entry.side), []).append(entry)
    for order in trailing:
        known = entries.get((order.market_id, order.side), [])
        place = bisect_right(known, order.sequence, key=lambda entry: entry.from_sequence)
        extreme = to_units(known[place - 1].extreme) if place else None
        stop_price = trailing_stop_price(order.side, extreme, to_units(order.trailing_offset))
        order.stop_price = None if stop_price is None else to_decimal(stop_price)
