"""The scope of an audit in one market: full, or the events since one of them with the orders that they concern."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q

from audit.reference_data import MarketState
from audit.rows import EventRow, OrderRow, TradeRow, batched_keys, fetch, fetch_plain, read
from core.money import stored_units
from core.types import ACTIVE_PHASES, Reason, Status
from markets.models import Trade
from orders.models import Order, OrderEvent


@dataclass(slots=True)
class Progress:
    """How far an order has come by its events, and how much it has traded by its trades."""

    status: str = Status.PENDING.value
    reason: str | None = None
    active: int = 1
    filled: int = 0
    notional: int = 0
    # The number of its first event.
    first: int | None = None
    traded: int = 0
    turnover: int = 0

    def follow(self, event: EventRow) -> None:
        if event.reason != Reason.AMEND_REFUSED:
            # While an order goes on, a reason is the event's alone.
            self.reason = None if event.active else event.reason
        self.status, self.active = event.status, event.active
        self.filled, self.notional = event.filled_quantity, event.filled_notional
        if self.first is None:
            self.first = event.sequence


@dataclass
class Scope:
    """The orders that are checked, and how far they had come before the event number `first`.

    `followed` are the orders whose whole history is known, or None if it is known of all.
    """

    market: MarketState
    first: int
    orders: dict[int, OrderRow]
    progress: dict[int, Progress] = field(default_factory=dict)
    followed: set[int] | None = None

    @property
    def is_full(self) -> bool:
        return self.followed is None

    def events(self) -> Iterator[EventRow]:
        return read(EventRow, by="sequence", after=self.first - 1, market_id=self.market.symbol)

    def trades(self) -> Iterator[TradeRow]:
        return read(TradeRow, by="sequence", after=self.first - 1, market_id=self.market.symbol)

    def followed_orders(self) -> Iterable[OrderRow]:
        if self.followed is None:
            return self.orders.values()
        return (self.orders[order_id] for order_id in sorted(self.followed))


def full_scope(market: MarketState) -> Scope:
    """All of the market. It holds all orders of the market in memory."""
    return Scope(market, 1, {order.id: order for order in read(OrderRow, market_id=market.symbol)})


def scope_since(market: MarketState, first: int) -> Scope:
    """The events from the number `first` on, the orders that they concern, active orders, and those of commands."""
    symbol = market.symbol
    first = _between_fills(symbol, first)
    events = OrderEvent.objects.filter(market=symbol, sequence__gte=first)
    touched = {order_id for (order_id,) in fetch_plain(events.values_list("order_id").distinct())}
    commanded = {command.order_id for command in market.commands if command.order_id is not None}
    orders = {order.id: order for order in read(OrderRow, market_id=symbol, phase__in=ACTIVE_PHASES)}
    for chunk in batched_keys(sorted((touched | commanded) - orders.keys())):
        rows = Order.objects.filter(id__in=chunk, market=symbol).values_list(*OrderRow._fields)
        orders.update((order.id, order) for order in fetch(rows, OrderRow))
    # The whole history of a PENDING order is known, because it has no events.
    followed = {order.id for order in orders.values() if order.id in touched or order.status == Status.PENDING}
    scope = Scope(market, first, orders, followed=followed)
    for chunk in batched_keys(sorted(followed & touched)):
        _read_progress(scope, chunk)
    return scope


def _between_fills(symbol: str, first: int) -> int:
    """The number to begin at, so that both fills of a trade are in the scope or none of them."""
    row = OrderEvent.objects.filter(market=symbol, sequence=first).values_list("trade_sequence").first()
    return first + 1 if row and row[0] is not None and row[0] < first else first


def _read_progress(scope: Scope, order_ids: list[int]) -> None:
    """Read how far the orders had come before the scope begins."""
    progress, symbol = scope.progress, scope.market.symbol
    earlier: dict[str, Any] = {"market": symbol, "sequence__lt": scope.first}
    events = OrderEvent.objects.filter(order__in=order_ids, **earlier).order_by("sequence")
    for event in fetch(events.values_list(*EventRow._fields), EventRow):
        progress.setdefault(event.order_id, Progress()).follow(event)
    mine = Q(buy_order_id__in=order_ids) | Q(sell_order_id__in=order_ids)
    columns = ("buy_order_id", "sell_order_id", "quantity", "notional")
    followed = set(order_ids)
    for *parties, quantity, notional in fetch_plain(Trade.objects.filter(mine, **earlier).values_list(*columns)):
        for order_id in followed.intersection(parties):
            known = progress.setdefault(order_id, Progress())
            known.traded += stored_units(quantity)
            known.turnover += stored_units(notional)
