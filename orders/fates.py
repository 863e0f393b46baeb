"""Orders whose fate is in their client order id, in a market of the sandbox that allows it.

- `sim-reject`: its command is a REFUSE, and the engine rejects it.
- `sim-hang`: its command is held for a while (`commands.held`).
- `sim-fill`, `sim-partial`: an order of the sandbox's own account meets it, and no other, whatever stands before it in
  the book. Both are orders like any others, of accounts like any others: what they trade is a trade. A LIMIT order is
  taken in first, and rests; the sandbox's takes from it. To a MARKET order the sandbox's order is laid down before, at
  the reference price, and what is left of it is cancelled behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

from django.conf import settings

from commands.held import hold, let_due_go
from commands.queue import ring, submit
from core.kinds import RESTING
from core.money import plain
from core.types import CommandKind, MarketStatus, OrderType, Side, TimeInForce
from markets.models import Market
from orders.errors import FateImpossible
from orders.market_rules import Reference
from orders.models import Order
from orders.resting import best_prices
from orders.terms import OrderTerms, draft_order, reserved

HANG = timedelta(seconds=30)
# The furthest from the reference price, and from the middle of the book, at which an order may have itself filled: in a
# market that others use too, its trades must not trigger every stop.
FURTHEST = Decimal("0.05")


class Fate(StrEnum):
    """The beginnings of client order ids that order a fate."""

    FILL = "sim-fill"
    PARTIAL = "sim-partial"
    REJECT = "sim-reject"
    HANG = "sim-hang"


@dataclass(frozen=True, slots=True)
class Fated:
    """An order's fate, and the order of the sandbox's account that brings it about, if one does. Neither is stored."""

    fate: Fate
    counter: Order | None


def fated(order: Order, market: Market, now: datetime, reference: Reference) -> Fated | None:
    """The fate that the order's key orders, if the market allows it. Raises FateImpossible."""
    key = order.client_order_id
    if key is None or not market.simulated_fates or order.user_id == market.counterparty_id:
        return None
    fate = next((fate for fate in Fate if key.startswith(fate.value)), None)
    if fate is None:
        return None
    meets = fate in (Fate.FILL, Fate.PARTIAL)
    return Fated(fate, _counter(order, market, fate, now, reference) if meets else None)


def _counter(order: Order, market: Market, fate: Fate, now: datetime, reference: Reference) -> Order:
    """The order of the sandbox's account that meets this one. Raises FateImpossible."""
    rests = order.type == OrderType.LIMIT and order.time_in_force in RESTING and order.display_quantity is None
    if not rests and (order.type != OrderType.MARKET or order.quantity is None):
        raise FateImpossible(f"{fate} is for a LIMIT order that rests, no iceberg, and for a MARKET order by quantity")
    if market.status != MarketStatus.TRADING:
        raise FateImpossible(f"{fate} needs a market that trades: {market.symbol} is {market.status}")
    lots = order.quantity // market.lot_size
    lots = lots if fate is Fate.FILL else lots // 2
    if not lots:
        raise FateImpossible(f"{fate} fills half of an order: of {plain(order.quantity)} that is no whole lot")
    near = reference(market.symbol)
    is_buy = order.side == Side.BUY
    price = _price(order, market, near)
    ends = TimeInForce.IOC if rests else TimeInForce.GTC
    terms = OrderTerms(
        side=Side.SELL if is_buy else Side.BUY,
        type=OrderType.LIMIT,
        price=price,
        quantity=lots * market.lot_size,
        time_in_force=ends,
        post_only=not rests,
    )
    assert market.counterparty_id is not None
    counter = draft_order(market.counterparty_id, market, terms, now)
    # The order that it meets has kept the band.
    counter.price_band = None
    counter.frozen = reserved(counter, market)
    return counter


def _price(order: Order, market: Market, near: Decimal | None) -> Decimal:
    """At which the two trade. Raises FateImpossible."""
    best = best_prices(market.symbol)
    if order.price is not None:
        price = Decimal(order.price)
    elif near is not None:
        price = _untaken(order.side, near, market.tick_size, *best)
    else:
        raise FateImpossible(f"{market.symbol} has no price yet at which a MARKET order could be filled")
    # The middle of the book as well: the last price is what such trades make it.
    middle = None if best[0] is None or best[1] is None else (best[0] + best[1]) / 2
    for known in (near, middle):
        if known is not None and abs(price - known) > FURTHEST * known:
            where = plain(known.normalize())
            message = f"the price {plain(price)} is further than {FURTHEST} from {where}"
            raise FateImpossible(message, referencePrice=where)
    return price


def _untaken(side: str, near: Decimal, tick: Decimal, bid: Decimal | None, ask: Decimal | None) -> Decimal:
    """The price next to this one at which an order can be laid down for a MARKET order of the side without taking."""
    if side == Side.BUY:
        price: Decimal = (near / tick).to_integral_value(ROUND_CEILING) * tick
        return price if bid is None else max(price, bid + tick)
    price = (near / tick).to_integral_value(ROUND_FLOOR) * tick
    return price if ask is None else min(price, ask - tick)


def submit_new(orders: Sequence[tuple[Order, Fated | None]]) -> None:
    """Store the commands of new orders that are stored, in their order, each as its fate asks for."""
    if all(fated is None for _, fated in orders):
        submit(CommandKind.NEW, [_pair(order) for order, _ in orders])
        return
    for order, fated in orders:
        if fated is None:
            submit(CommandKind.NEW, [_pair(order)])
        elif fated.fate is Fate.REJECT:
            submit(CommandKind.REFUSE, [_pair(order)])
        elif fated.fate is Fate.HANG:
            hold([_pair(order)], HANG)
        else:
            assert fated.counter is not None
            _submit_both(order, fated.counter)


def _submit_both(order: Order, counter: Order) -> None:
    if order.type == OrderType.MARKET:
        Order.objects.filter(id=order.id).update(meets_id=counter.id)
        submit(CommandKind.NEW, [_pair(counter), _pair(order)])
        submit(CommandKind.CANCEL, [_pair(counter)])
    else:
        Order.objects.filter(id=counter.id).update(meets_id=order.id)
        submit(CommandKind.NEW, [_pair(order), _pair(counter)])


def _pair(order: Order) -> tuple[str, int]:
    return order.market_id, order.id


# What a sandbox of before has left is let go once.
_is_over: list[bool] = []


def let_hanging_go() -> int:
    """Let the orders go on that have hung long enough, and return how many.

    Without a sandbox all that one of before has left go on, until there are no more.
    """
    if not settings.SANDBOX and _is_over:
        return 0
    symbols = let_due_go(all_of_them=not settings.SANDBOX)
    if not settings.SANDBOX and not symbols:
        _is_over.append(True)
    for symbol in sorted(set(symbols)):
        ring(symbol)
    return len(symbols)
