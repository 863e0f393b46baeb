"""What would become of an order now: the core decides it on a copy of what it would meet.

Nothing is locked and nothing stored, so the book may be another one by the time the order itself comes. What waits in
the inbox does not count, and neither do the stops of others, which would only fire after the order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from base.web.errors import InvalidField
from core.batch import Account, Batch, Change
from core.kinds import KINDS
from core.market import Market
from core.money import to_decimal
from core.outcome import Trade
from core.types import CommandKind, MarketStatus, PendingCommand, Reason, Side, Status
from core.types import Order as CoreOrder
from matching import books, order_rows
from matching.models import OrderBook
from orders.models import Order
from orders.resting import resting_orders

# So many resting orders are read, and more of them where they do not suffice.
READINGS = (100, 1000)


@dataclass(frozen=True)
class Preview:
    """The order as it would be, and what its batches would change: a stop that fires at once may need two."""

    order: CoreOrder
    batches: list[Batch]

    @property
    def fills(self) -> list[Trade]:
        return [trade for batch in self.batches for trade in batch.trades if trade.taker is self.order]

    def change(self, account: Account) -> Change:
        """What would become of a balance, in units."""
        changes = [batch.changes.get(account, Change(0, 0)) for batch in self.batches]
        return Change(sum(each.available for each in changes), sum(each.frozen for each in changes))


def preview(order: Order, available: int) -> Preview:
    """`order` is one that intake would accept, not stored; `available` what its user could spend beside, in units.

    Raises InvalidField for one that would meet more resting orders than are read.
    """
    for most in READINGS:
        met, cut_at = _met(order, most)
        taker = _taker(order)
        market = _market(order, met)
        begins = market.book.next_sequence
        batches = [_decide(market, CommandKind.NEW, taker, available)]
        if taker.status is Status.TRIGGERED:
            batches.append(_decide(market, CommandKind.TRIGGER, taker, available))
        if cut_at is None or not _is_cut_short(market, taker, cut_at, begins):
            return Preview(taker, batches)
    raise InvalidField("quantity", "TOO_MANY_FILLS", f"it would meet more than {READINGS[-1]} resting orders")


def _decide(market: Market, kind: CommandKind, taker: CoreOrder, available: int) -> Batch:
    spendable: dict[Account, int] = {(taker.user_id, market.rules.quote): available}
    command = PendingCommand(0, kind, taker.id, taker)
    return market.decide([command], spendable=spendable, most_fills=2 * READINGS[-1])


def _met(order: Order, most: int) -> tuple[list[CoreOrder], int | None]:
    """The resting orders that it would meet first, about so many; and the price of which not all were read, if any.

    In the order of the index, which has the ids behind the prices. Between the two readings orders may leave the price
    of the second, and come to it from a better one: these count where they stood first.
    """
    is_buy = order.side == Side.BUY
    others = resting_orders(order.market_id).filter(side=Side(order.side).opposite.value)
    opposite = others.order_by("price" if is_buy else "-price")
    if KINDS[order.type].is_priced:
        opposite = opposite.filter(**{"price__lte" if is_buy else "price__gte": order.price})
    rows = [order_rows.core_order(row) for row in _values(opposite[: most + 1])]
    if len(rows) <= most:
        return rows, None
    cut_at = rows[-1].price
    assert cut_at is not None
    at_its_price = opposite.filter(price=to_decimal(cut_at)).order_by("id")[:most]
    first = _first([order_rows.core_order(row) for row in _values(at_its_price)])
    better = {row.id: row for row in rows if row.price != cut_at}
    return [*better.values(), *(row for row in first if row.id not in better)], cut_at


def _first(rows: list[CoreOrder]) -> list[CoreOrder]:
    """Those of a price that stand before all that were not read.

    Ids are nearly in the order in which orders come into the book. What was amended or refilled since, or waited for a
    price, may stand behind what was not read.
    """
    last = (rows[-1].sequence or 0) if rows else 0
    return [row for row in rows if row.place <= last]


def _values(orders: Any) -> Iterable[tuple[Any, ...]]:
    return orders.values_list(*order_rows.CORE_COLUMNS)  # type: ignore[no-any-return]


def _taker(order: Order) -> CoreOrder:
    row = [getattr(order, name) for name in order_rows.CORE_COLUMNS]
    # No order has this id.
    row[order_rows.CORE_COLUMNS.index("id")] = 0
    return order_rows.core_order(tuple(row))


def _market(order: Order, met: Sequence[CoreOrder]) -> Market:
    """The market with what it would meet. Before the first trade the best order of its own side counts too."""
    symbol = order.market_id
    row = OrderBook.objects.filter(pk=symbol).only("status", "next_sequence").first()
    status, sequence = (MarketStatus.TRADING.value, 1) if row is None else (row.status, row.next_sequence)
    price, trade = books.last_trade(symbol)
    own = [] if price is not None else _best_of_its_side(order)
    if status == MarketStatus.TRADING and any(_is_crossed(each, other) for each in own for other in met):
        # Read a moment later than the others.
        own = []
    return Market(books.rules(symbol), status, sequence, [*met, *own], price, last_trade=trade)


def _best_of_its_side(order: Order) -> list[CoreOrder]:
    first = "-price" if order.side == Side.BUY else "price"
    own = resting_orders(order.market_id).filter(side=order.side).order_by(first)[:1]
    return [order_rows.core_order(row) for row in _values(own)]


def _is_crossed(own: CoreOrder, other: CoreOrder) -> bool:
    assert own.price is not None and other.price is not None
    return own.price >= other.price if own.side is Side.BUY else own.price <= other.price


def _is_cut_short(market: Market, taker: CoreOrder, cut_at: int, begins: int) -> bool:
    """Whether it would perhaps have met an order that was not read.

    At the price of which not all were read, what an iceberg has hidden stands behind these.
    """
    first = market.book.opposite[taker.side].met_by(None)
    if first is None or taker.reason is Reason.FOK_NOT_FILLABLE:
        return True
    return first.price == cut_at and first.place >= begins
