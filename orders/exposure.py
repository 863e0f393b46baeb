"""Whether a user may place another order: the kill switch, deactivation, and the user's own limits.

Intake stores an order of most users without a look: the statement that stores it checks `UNCHECKED`. Only where that
fails the users' rows are locked and read, so that of two orders at the same moment the second counts the first.
"""

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from base.web.errors import AccountBlocked, ExchangeError, LimitExceeded
from commands.models import Command
from core.kinds import EXPIRES_AT, PRICE, QUANTITY
from core.money import plain, to_decimal, to_units
from core.types import ACTIVE_PHASES, CommandKind, Side
from markets.models import Market
from orders.models import Order
from orders.resting import reference_price
from users.limits import stored_limits
from users.models import OrderLimits, User

# What the row of a user fulfils whose orders need no look.
UNCHECKED = "is_active = 1 AND is_blocked = 0 AND has_limits = 0"
_COUNTED = (
    *("market", "side", "price", "quantity", "quote_quantity", "filled_quantity", "prevented_quantity", "frozen"),
    *("stop_price", "group_id"),
)


@dataclass
class Exposure:
    """What one user may still do. `open` is the notional of the open orders, in each currency that has a limit."""

    user_id: int
    blocked_because: str = ""
    limits: dict[str, Decimal] = field(default_factory=dict)
    markets: tuple[str, ...] | None = None
    open: dict[str, Decimal] = field(default_factory=dict)

    def copy(self) -> "Exposure":
        return Exposure(self.user_id, self.blocked_because, self.limits, self.markets, dict(self.open))

    def refusal(self, order: Order, market: Market, instead: Decimal = Decimal(0)) -> ExchangeError | None:
        """Why the order is refused, if it is. `instead` is the notional of what it takes the place of."""
        if self.blocked_because:
            return AccountBlocked(f"account {self.user_id} {self.blocked_because}: it takes no new orders")
        if self.markets is not None and market.symbol not in self.markets:
            message = f"account {self.user_id} may not trade in {market.symbol}"
            return LimitExceeded(message, limit="markets", symbol=market.symbol, markets=list(self.markets))
        currency = market.quote_id
        most = self.limits.get(currency)
        if most is None:
            return None
        now_open, more = self.open[currency], notional_of(order) - instead
        if more > 0 and now_open + more > most:
            message = f"{plain(now_open + more)} {currency} would be open, more than this account's {plain(most)}"
            values = {"open": plain(now_open), "order": plain(more), "maximum": plain(most)}
            return LimitExceeded(message, limit="openNotional", currency=currency, **values)
        return None

    def take(self, order: Order, market: Market) -> None:
        """Count an order that is accepted."""
        if market.quote_id in self.limits:
            self.open[market.quote_id] += notional_of(order)


def lock_exposures(user_ids: Iterable[int]) -> dict[int, Exposure]:
    """What the users may still do, by user. Their rows are locked, in the order of their ids, until the commit."""
    wanted = set(user_ids)
    rows = User.objects.select_for_update().filter(id__in=wanted).order_by("id")
    found = {user.pk: _exposure(user) for user in rows}
    return {user_id: found.get(user_id) or Exposure(user_id, "does not exist") for user_id in wanted}


def lock_exposure(user_id: int) -> Exposure | None:
    """The same of one user; None, without a lock, for one whose orders need no look."""
    if User.objects.filter(pk=user_id, is_active=True, is_blocked=False, has_limits=False).exists():
        return None
    return lock_exposures([user_id])[user_id]


def stored_terms(terms: Mapping[str, Any]) -> dict[str, Any]:
    """The terms of an amend as its command has them: amounts in units, instants in ISO 8601."""
    return {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else to_units(value)
        for name, value in terms.items()
    }


def read_terms(data: Mapping[str, Any]) -> dict[str, Any]:
    """The same, read."""
    return {
        name: datetime.fromisoformat(value) if name == EXPIRES_AT else to_decimal(value) for name, value in data.items()
    }


def notional_of(order: Order) -> Decimal:
    """What an open order may still move, in quote currency.

    Of a buy what is frozen for it, of a sell its rest at its price, or at the price that triggers it. The rest of an
    order without either counts at the market's reference price, and as nothing where there is none. The leg of an OCO
    that has nothing frozen counts as nothing, because only one of the two can trade.
    """
    if order.group_id is not None and not order.frozen:
        return Decimal(0)
    if order.side == Side.BUY and order.frozen:
        return Decimal(order.frozen)
    if order.quantity is None:
        # A quote quantity that replaces another order, and has nothing frozen yet.
        return order.quote_quantity or Decimal(0)
    rest: Decimal = order.quantity - order.filled_quantity - (order.prevented_quantity or 0)
    price = order.stop_price if order.price is None else order.price
    if price is None:
        price = reference_price(order.market_id)
    return rest * (price or Decimal(0))


def may_trade(user_id: int) -> bool:
    """Whether the account is active and no operator has blocked it."""
    return User.objects.filter(pk=user_id, is_active=True, is_blocked=False).exists()


def read_exposure(user_id: int) -> Exposure:
    """What the user may still do, by a look that locks nothing."""
    row = User.objects.filter(id=user_id).first()
    return Exposure(user_id, "does not exist") if row is None else _exposure(row)


def _exposure(user: User) -> Exposure:
    if not user.is_active:
        return Exposure(user.pk, "is deactivated")
    if user.is_blocked:
        return Exposure(user.pk, "is blocked by an operator")
    stored = OrderLimits.objects.filter(user_id=user.pk).first() if user.has_limits else None
    if stored is None:
        return Exposure(user.pk)
    limits, markets = stored_limits(stored)
    return Exposure(user.pk, "", limits, markets, _open_notional(user.pk, limits))


def _open_notional(user_id: int, currencies: Iterable[str]) -> dict[str, Decimal]:
    """The sum over the user's open orders, in each of the currencies, as if those of their amends that wait and would
    raise it had been applied.

    The engine may fill some of the orders meanwhile, and apply amends: these are read first, so that none is missed.
    """
    found = dict.fromkeys(currencies, Decimal(0))
    mine = Order.objects.filter(user_id=user_id, phase__in=ACTIVE_PHASES, market__quote__in=found)
    waiting = Command.objects.filter(kind=CommandKind.AMEND, order_id__in=mine.order_by().values("id"))
    amends = list(waiting.values_list("order_id", "data", "reserved"))
    orders = {order.id: order for order in mine.select_related("market").only(*_COUNTED, "market__quote")}
    for order in orders.values():
        found[order.market.quote_id] += notional_of(order)
    grown: dict[int, Decimal] = {}
    for order_id, data, reserved in amends:
        if order_id in orders:
            order, terms = orders[order_id], read_terms(data or {})
            becomes = amended(order, terms.get(PRICE, order.price), terms.get(QUANTITY, order.quantity), reserved)
            grown[order_id] = max(grown.get(order_id, Decimal(0)), notional_of(becomes) - notional_of(order))
    for order_id, more in grown.items():
        found[orders[order_id].market.quote_id] += more
    return found


def amended(order: Order, price: Decimal | None, quantity: Decimal | None, reserved: Decimal) -> Order:
    """The order as an amend would have it, to be counted."""
    becomes = copy(order)
    becomes.price, becomes.quantity, becomes.frozen = price, quantity, order.frozen + reserved
    return becomes
