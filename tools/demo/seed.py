"""Make the demo's tables, users, markets and funds, by the services: python -m tools.demo.seed. Harmless to repeat."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exchange.settings")
# What is imported below defines models.
django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402

from balances.services import transfer  # noqa: E402
from base.web.errors import SignInsBusy  # noqa: E402
from markets.counterparty import sandbox_account  # noqa: E402
from markets.services import change_market, create_market, find_market, read_market  # noqa: E402
from tools.demo.cast import COUNTERPARTY, HUMANS, LISTINGS, PASSWORD, TRADERS, Listing, Member  # noqa: E402
from tools.demo.secrets import STAFF_PASSWORD, TRADERS_PASSWORD  # noqa: E402
from users.api_key import Ending  # noqa: E402
from users.api_keys import end_keys  # noqa: E402
from users.models import User  # noqa: E402
from users.services import end_all_sessions, register  # noqa: E402

PATIENT_TRIES = 3


def main() -> int:
    if not settings.DEMO:
        print("the demo's users have a password that everybody knows: not without DEMO=1", file=sys.stderr)
        return 1
    print("migrating", flush=True)
    call_command("migrate", verbosity=0, interactive=False)
    print("seeding", flush=True)
    for listing in LISTINGS:
        _list(listing)
    for member in (*HUMANS, *TRADERS):
        _admit(member)
    if settings.SANDBOX:
        _let_fates_be_ordered()
    return 0


def _let_fates_be_ordered() -> None:
    """In all of the demo's markets, and the sandbox's account can pay for them."""
    for listing in LISTINGS:
        market = read_market(listing.symbol)
        if not market.simulated_fates:
            change_market(market, simulated_fates=True)
    _deposit(sandbox_account(), COUNTERPARTY, "sandbox")


def _list(listing: Listing) -> None:
    if find_market(listing.symbol) is None:
        create_market(
            symbol=listing.symbol,
            base=listing.base,
            quote=listing.quote,
            tick_size=listing.tick_size,
            lot_size=listing.lot_size,
            maker_fee_rate=listing.maker_fee_rate,
            taker_fee_rate=listing.taker_fee_rate,
            price_band=listing.price_band,
        )


def _registered(name: str, email: str, password: str) -> User:
    """Passwords are hashed at a low priority, which on a busy machine takes longer than one call waits."""
    for _ in range(PATIENT_TRIES):
        with suppress(SignInsBusy):
            return register(username=name, email=email, password=password, by_operator=True)
    return register(username=name, email=email, password=password, by_operator=True)


def _own_password(member: Member) -> str | None:
    """That of who is none of those who trade by hand, in a demo that others reach: a trader has a thousand million."""
    if member in HUMANS and not member.is_staff:
        return None
    return os.environ.get(STAFF_PASSWORD if member.is_staff else TRADERS_PASSWORD)


def _admit(member: Member) -> None:
    user = User.objects.filter(username=member.name).first()
    own = _own_password(member)
    if user is None:
        email = f"{member.name}@example.com"
        user = _registered(member.name, email, own or PASSWORD)
    elif own and user.check_password(PASSWORD):
        # Others reach the demo from now on, and know the password that it had.
        user.set_password(own)
        with transaction.atomic():
            user.save(update_fields=["password"])
            end_all_sessions(user.pk)
            end_keys(user.pk, Ending.OPERATOR)
    if member.is_staff and not user.is_superuser:
        user.is_staff = user.is_superuser = True
        user.save(update_fields=["is_staff", "is_superuser"])
    if member.rate_limit is not None and user.rate_limit is None:
        user.rate_limit = member.rate_limit
        user.save(update_fields=["rate_limit"])
    _deposit(user, member.funds, member.name)


def _deposit(user: User, funds: Mapping[str, int], name: str) -> None:
    for currency, amount in funds.items():
        transfer(
            user_id=user.id,
            currency=currency,
            amount=Decimal(amount),
            reason="demo funds",
            # The same reference moves money once, however often the demo starts.
            reference=f"demo-{name}-{currency}",
            operator_id=None,
        )


if __name__ == "__main__":
    sys.exit(main())
