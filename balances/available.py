"""What is available to orders: locked where it decides, read where a look is enough."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from balances.models import Balance
from balances.services import lock_balances
from base.storage.statements import GuardFailed
from base.web.errors import InsufficientFunds
from core.batch import Account
from core.money import to_decimal

_AVAILABLE = ("user_id", "currency_id", "available")


def lock_available(keys: Iterable[Account]) -> dict[Account, Decimal]:
    """The available funds of those balances that exist, locked in (user, currency) order."""
    wanted = set(keys)
    if not wanted:
        return {}
    users, currencies = {user_id for user_id, _ in wanted}, {currency for _, currency in wanted}
    rows = Balance.objects.filter(user_id__in=users, currency_id__in=currencies)
    existing = wanted & set(rows.values_list("user_id", "currency_id"))
    return {key: to_decimal(balance.available) for key, balance in lock_balances(existing).items()}


def require_more(amounts: Mapping[Account, Decimal]) -> None:
    """Raises GuardFailed unless more than so much is available in each of the balances. Locks nothing."""
    if not amounts:
        return
    users, currencies = {user_id for user_id, _ in amounts}, {currency for _, currency in amounts}
    rows = Balance.objects.filter(user_id__in=users, currency_id__in=currencies)
    held = {(user_id, currency): left for user_id, currency, left in rows.values_list(*_AVAILABLE)}
    for (user_id, currency), amount in amounts.items():
        if held.get((user_id, currency), 0) <= amount:
            raise GuardFailed(f"{currency} of user {user_id} does not suffice")


def no_funds(currency: str) -> InsufficientFunds:
    """The error of an order that would spend what is available, where nothing is."""
    return InsufficientFunds(f"no {currency} is available", currency=currency, available="0")
