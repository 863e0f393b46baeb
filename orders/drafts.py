"""Orders that are not stored yet, and what they take of their users' funds and limits once they are accepted."""

from dataclasses import dataclass
from decimal import Decimal

from balances.available import no_funds
from balances.services import insufficient_funds
from base.web.errors import ExchangeError
from markets.models import Market
from orders import open_orders
from orders.errors import FateImpossible
from orders.exposure import Exposure
from orders.fates import Fated
from orders.models import Order
from users.acts import Actor

Account = tuple[int, str]
Key = tuple[int, str | None]


@dataclass(frozen=True, slots=True)
class Draft:
    """The row of an order that is not stored yet, the balance that it reserves, and the market's refusal, if any."""

    order: Order
    market: Market
    account: Account
    refusal: ExchangeError | None
    actor: Actor | None
    fated: Fated | None = None

    @property
    def key(self) -> Key:
        return self.order.user_id, self.order.client_order_id

    @property
    def spends_available(self) -> bool:
        """Whether it reserves nothing, and will spend what is available when it is matched."""
        return not self.order.frozen

    @property
    def counter(self) -> "list[Draft]":
        """That of the sandbox's account which brings its fate about, if one does."""
        if self.fated is None or (order := self.fated.counter) is None:
            return []
        return [Draft(order, self.market, (order.user_id, self.market.pays_with(order.side)), None, None)]

    @property
    def all(self) -> "list[Draft]":
        """All that is stored of it."""
        return [self, *self.counter]

    @property
    def place(self) -> open_orders.Key:
        """Where its user's open orders are counted."""
        return self.order.market_id, self.order.user_id


@dataclass(slots=True)
class Limits:
    """What the accepted drafts take from: what each user may still do, available funds, and open orders. Locked."""

    users: dict[int, Exposure]
    funds: dict[Account, Decimal]
    opened: dict[open_orders.Key, int]

    def copy(self) -> "Limits":
        return Limits({user: each.copy() for user, each in self.users.items()}, dict(self.funds), dict(self.opened))


def take(draft: Draft, limits: Limits) -> ExchangeError | None:
    """Take the draft's funds and its place among the open orders; or the refusal, with nothing taken.

    The same of what the sandbox's account has to do for it, which has other funds.
    """
    if (refusal := _refusal(draft, limits)) is not None:
        return refusal
    for counter in draft.counter:
        if (refusal := _refusal(counter, limits)) is not None:
            return FateImpossible(f"the sandbox's account cannot: {refusal.message}")
    for each in draft.all:
        limits.funds[each.account] = limits.funds.get(each.account, Decimal(0)) - each.order.frozen
        limits.opened[each.place] += 1
        limits.users[each.order.user_id].take(each.order, each.market)
    return None


def _refusal(draft: Draft, limits: Limits) -> ExchangeError | None:
    opened, order = limits.opened[draft.place], draft.order
    if (refusal := limits.users[order.user_id].refusal(order, draft.market)) is not None:
        return refusal
    if opened >= (most := draft.market.max_open_orders):
        return open_orders.too_many(order.market_id, opened, most)
    available = limits.funds.get(draft.account, Decimal(0))
    if draft.spends_available and not available:
        return no_funds(draft.account[1])
    if order.frozen > available:
        return insufficient_funds(draft.account[1], order.frozen, available)
    return None
