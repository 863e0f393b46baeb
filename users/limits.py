"""What one user may do at most: requests a second, notional that is open, and the markets to trade in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import transaction

from base.storage.outages import again_on_deadlock
from base.web.accounts import forget_account
from base.web.errors import UserNotFound
from core.money import plain
from users import answers
from users.acts import Actor, record
from users.models import ActKind, OrderLimits, User


@dataclass(frozen=True, slots=True)
class Limits:
    """A user's own limits. None, and no amount for a currency: as everybody."""

    requests_per_second: int | None = None
    open_notional: Mapping[str, Decimal] = field(default_factory=dict)
    markets: tuple[str, ...] | None = None

    @property
    def concern_orders(self) -> bool:
        """Whether intake has anything to check."""
        return bool(self.open_notional) or self.markets is not None


def read_limits(user_id: int) -> Limits:
    """The user's own limits. Raises UserNotFound."""
    return _limits(_found(User.objects.filter(id=user_id).first()))


@again_on_deadlock
@transaction.atomic
def change_limits(user_id: int, changes: Mapping[str, Any], actor: Actor) -> Limits:
    """Set the limits that are named. Orders that are open already stay. Raises UserNotFound.

    The user's row is locked first: intake holds it while an order is stored, so the next order heeds the new limits.
    """
    user = _found(User.objects.select_for_update().filter(id=user_id).first())
    before = _limits(user)
    after = replace(before, **changes)
    if after == before:
        return after
    user.rate_limit, user.has_limits = after.requests_per_second, after.concern_orders
    user.save(update_fields=["rate_limit", "has_limits"])
    if after.concern_orders:
        values = represent_limits(after)
        kept = {"open_notional": values["openNotional"], "markets": values["markets"]}
        OrderLimits.objects.update_or_create(user_id=user_id, defaults=kept)
    else:
        OrderLimits.objects.filter(user_id=user_id).delete()
    record(ActKind.LIMITS_CHANGED, user_id, actor, before=represent_limits(before), after=represent_limits(after))
    transaction.on_commit(partial(forget_account, user_id))
    return after


def represent_limits(limits: Limits) -> answers.Limits:
    """As clients see them."""
    return {
        "requestsPerSecond": limits.requests_per_second,
        "openNotional": {currency: plain(amount) for currency, amount in sorted(limits.open_notional.items())},
        "markets": None if limits.markets is None else list(limits.markets),
    }


def _limits(user: User) -> Limits:
    stored = OrderLimits.objects.filter(user_id=user.pk).first() if user.has_limits else None
    if stored is None:
        return Limits(user.rate_limit)
    return Limits(user.rate_limit, *stored_limits(stored))


def stored_limits(stored: OrderLimits) -> tuple[dict[str, Decimal], tuple[str, ...] | None]:
    """The amounts by currency, and the markets."""
    amounts = {currency: Decimal(amount) for currency, amount in stored.open_notional.items()}
    return amounts, None if stored.markets is None else tuple(stored.markets)


def _found(user: User | None) -> User:
    if user is None:
        raise UserNotFound("there is no such user")
    return user
