"""The operations that move money: deposit, withdraw and freeze; `settling` has settle. Each is a guarded write.

Lock order: the user, balances by (user, currency), then the asset. Intake locks its balances last, just before its
commit.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from django.db import IntegrityError, connection, transaction
from django.db.models import F, Sum
from django.db.models.functions import Abs
from django.utils import timezone

from balances.cache import balances_changed
from balances.models import Balance, EntryKind, HouseAccount, LedgerEntry, Transfer
from base.storage.bulk import stored_instant
from base.storage.fields import AmountSum
from base.storage.fields import amount as stored
from base.storage.indexes import lock_pairs
from base.storage.outages import again_on_deadlock
from base.storage.statements import GuardFailed
from base.web.errors import AccountDeactivated, AmountTooLarge, InsufficientFunds, InvalidField, ReferenceReused
from core.batch import Account
from core.money import MAX_AMOUNT, plain, stored_units, to_decimal, to_units
from markets.marks import mark_of
from markets.models import Asset
from markets.services import known_asset
from users.services import lock_user

# The index along which balances are locked.
BY_PAIR = "balance_user_currency"
_FREEZE = (
    "UPDATE balances SET available = available - %s, frozen = frozen + %s, updated_at = %s"
    " WHERE user_id = %s AND currency = %s AND available >= %s"
)


def freeze(user_id: int, currency: str, amount: Decimal) -> None:
    """Reserve available funds for an order. Raises InsufficientFunds, with nothing changed."""
    assert amount > 0, amount
    # SQLite keeps amounts as integers.
    units = to_units(amount) if connection.vendor == "sqlite" else amount
    now = stored_instant(timezone.now())
    with connection.cursor() as cursor:
        # In SQL, because Django takes four times as long to build the statement, and every order needs it.
        cursor.execute(_FREEZE, (units, units, now, user_id, currency, units))
        frozen = cursor.rowcount
    if not frozen:
        mine = Balance.objects.filter(user_id=user_id, currency=currency)
        raise insufficient_funds(currency, amount, mine.values_list("available", flat=True).first() or Decimal(0))


def freeze_all(amounts: Mapping[Account, Decimal]) -> None:
    """Reserve available funds of each (user, currency), by one guarded update each, in order.

    Raises GuardFailed if the funds of one do not suffice. The caller must roll its transaction back then.
    """
    for (user_id, currency), amount in sorted(amounts.items()):
        try:
            freeze(user_id, currency, amount)
        except InsufficientFunds as error:
            raise GuardFailed(f"{currency} of user {user_id} does not suffice") from error
    balances_changed(user_id for user_id, _ in amounts)


def freeze_one(account: Account, amount: Decimal) -> None:
    """The same for one order that is stored alone. Raises InsufficientFunds, with nothing changed."""
    freeze(*account, amount)
    balances_changed([account[0]])


def insufficient_funds(currency: str, amount: Decimal, available: Decimal | None = None) -> InsufficientFunds:
    """The error of an order that would reserve more than is available, or (None) than anybody can own."""
    needed, data = f"{plain(amount)} {currency} needed", {"currency": currency, "required": plain(amount)}
    if available is None:
        return InsufficientFunds(needed, **data)
    return InsufficientFunds(f"{needed}, {plain(available)} available", **data, available=plain(available))


@again_on_deadlock
def transfer(
    *, user_id: int | None, currency: str, amount: Decimal, reason: str, reference: str, operator_id: int | None
) -> tuple[Transfer, bool]:
    """Deposit a positive amount or withdraw a negative one, once per reference. Without a user: pay collected fees out.

    Returns the transfer and whether it had been made before. Raises AssetNotFound, InvalidField, InsufficientFunds,
    AmountTooLarge, ReferenceReused, UserNotFound and AccountDeactivated.
    """
    assert amount < 0 or (amount and user_id), "a transfer moves something, and nobody deposits fees"
    refuse_amount(amount, currency)
    wanted = Transfer(
        reference=reference,
        user_id=user_id,
        currency_id=currency,
        amount=amount,
        reason=reason,
        operator_id=operator_id,
        created_at=timezone.now(),
    )
    earlier = _repeated(wanted)
    if earlier:
        return earlier, True
    try:
        with transaction.atomic():
            made = _carry_out(wanted)
    except IntegrityError:
        # Another request stored the same reference after the check above: its transfer is the answer.
        earlier = _repeated(wanted)
        if earlier is None:
            raise
        return earlier, True
    return made, made is not wanted


class Held(NamedTuple):
    """A balance's row, locked; its amounts in units of 1e-8."""

    id: int
    available: int
    frozen: int


def lock_balances(keys: Iterable[Account]) -> dict[Account, Held]:
    """Lock the balances, in (user, currency) order, and make those that do not exist yet."""
    wanted = set(keys)
    if not wanted:
        return {}
    found = _locked(wanted)
    missing = sorted(wanted - found.keys())
    if missing:
        make_balances(missing)
        found = _locked(wanted)
        balances_changed(user_id for user_id, _ in missing)
    return found


def make_balances(keys: Sequence[Account]) -> None:
    """Make balances of nothing. Of two transactions that make one the second waits for the first."""
    new = [Balance(user_id=user_id, currency_id=currency) for user_id, currency in keys]
    Balance.objects.bulk_create(new, ignore_conflicts=True)


def _locked(keys: set[Account]) -> dict[Account, Held]:
    """The balances that exist, locked in (user, currency) order."""
    rows = lock_pairs("balances", BY_PAIR, ("user_id", "currency"), "id, available, frozen", keys)
    return {
        (user_id, currency): Held(balance_id, stored_units(available), stored_units(frozen))
        for user_id, currency, balance_id, available, frozen in rows
    }


def refuse_amount(amount: Decimal, currency: str) -> None:
    """Raises AssetNotFound, or InvalidField for an amount with more digits than the asset's scale."""
    asset = known_asset(currency)
    if abs(amount) > MAX_AMOUNT:
        raise InvalidField("amount", "AMOUNT_TOO_LARGE", f"amount {plain(amount)} is above {MAX_AMOUNT}")
    if amount != round(amount, asset.scale):
        message = f"amount {plain(amount)} has more than {asset.code}'s {asset.scale} digits after the point"
        raise InvalidField("amount", "AMOUNT_OFF_SCALE", message, scale=asset.scale)


def _repeated(wanted: Transfer) -> Transfer | None:
    """The transfer that was made under this reference, if any. Raises ReferenceReused if it differs."""
    earlier = Transfer.objects.filter(reference=wanted.reference).first()
    if earlier is None:
        return None
    for field in ("user_id", "currency_id", "amount", "reason"):
        if getattr(earlier, field) != getattr(wanted, field):
            raise ReferenceReused(f"reference {wanted.reference} was used for another transfer", field="reference")
    return earlier


def _carry_out(wanted: Transfer) -> Transfer:
    """Write balance, supply, ledger entries and the transfer itself.

    The user's row is locked first, then the balance's: an account that is empty is deactivated under the same lock, and
    nothing is deposited to it afterwards.
    """
    if wanted.user_id is None:
        return _pay_out(wanted)
    user = lock_user(wanted.user_id)
    key = (wanted.user_id, wanted.currency_id)
    held = lock_balances([key])[key]
    available, frozen = to_decimal(held.available), to_decimal(held.frozen)
    if (earlier := _repeated(wanted)) is not None:
        # Another request made the same transfer while this one waited for the balance.
        return earlier
    if wanted.amount > 0 and not user.is_active:
        raise AccountDeactivated("nothing can be deposited to an account that is deactivated", userId=user.pk)
    _store(wanted, available, frozen)
    Balance.objects.filter(id=held.id).update(available=wanted.available_after, updated_at=timezone.now())
    balances_changed([user.pk])
    return wanted


def _pay_out(wanted: Transfer) -> Transfer:
    """The same from the fee account. Its asset's row is locked, so that of two payouts the second counts the first;
    the fees are added up before that, because there are many and, less their rebates, they only become more.
    """
    entries = LedgerEntry.objects.filter(account=wanted.account, currency_id=wanted.currency_id)
    # By kind, because all of one kind have one sign.
    of_trades = entries.filter(kind__in=(EntryKind.FEE, EntryKind.REBATE)).values("kind")
    sums = dict(of_trades.annotate(total=AmountSum(Abs("amount"))).values_list("kind", "total"))
    collected = sums.get(EntryKind.FEE, Decimal(0)) - sums.get(EntryKind.REBATE, Decimal(0))
    Asset.objects.select_for_update().get(code=wanted.currency_id)
    if (earlier := _repeated(wanted)) is not None:
        return earlier
    payouts = Transfer.objects.filter(user__isnull=True, currency_id=wanted.currency_id)
    paid = payouts.aggregate(total=Sum("amount"))["total"]
    _store(wanted, collected + (paid or Decimal(0)), Decimal(0))
    return wanted


def _store(wanted: Transfer, available: Decimal, frozen: Decimal) -> None:
    """The rows of a transfer to an account that holds so much, which is locked. Raises InsufficientFunds."""
    if available + wanted.amount < 0:
        raise InsufficientFunds(
            f"{plain(-wanted.amount)} {wanted.currency_id} needed, {plain(available)} available",
            currency=wanted.currency_id,
            required=plain(-wanted.amount),
            available=plain(available),
        )
    _change_supply(wanted.currency_id, wanted.amount)
    wanted.available_after, wanted.frozen_after = available + wanted.amount, frozen
    wanted.mark_price = mark_of(wanted.currency_id)
    wanted.save(force_insert=True)
    kind = EntryKind.DEPOSIT if wanted.amount > 0 else EntryKind.WITHDRAWAL
    accounts = ((wanted.account, wanted.amount), (HouseAccount.EXTERNAL.value, -wanted.amount))
    shared = {"currency_id": wanted.currency_id, "kind": kind, "reference": wanted.ledger_reference}
    LedgerEntry.objects.bulk_create(
        LedgerEntry(account=account, amount=amount, created_at=wanted.created_at, **shared)
        for account, amount in accounts
    )


def _change_supply(currency: str, amount: Decimal) -> None:
    """Change the asset's supply, and keep it below the limit, so that no balance can overflow its column."""
    changed = Asset.objects.filter(code=currency)
    if amount > 0:
        changed = changed.filter(supply__lte=MAX_AMOUNT - amount)
    if not changed.update(supply=F("supply") + stored(amount)):
        raise AmountTooLarge(f"more than {MAX_AMOUNT} {currency} would be in circulation", field="amount")
