"""The checks of balances: against the ledger, against what orders reserve, and against the assets' supplies."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal

from django.db import connection
from django.db.models import Q

from audit.checks import MOST_OF_A_CHECK, Check, Report
from audit.reference_data import ReferenceData
from audit.rows import BalanceRow, batched_keys, fetch, read
from balances.models import Balance, HouseAccount
from core.money import UNIT, plain_units, stored_units

FEES, EXTERNAL = HouseAccount.FEES.value, HouseAccount.EXTERNAL.value
# Amounts by account and currency.
Amounts = Mapping[tuple[int, str], int]


def check_balances(report: Report, data: ReferenceData, accounts: Amounts, reserved: Amounts) -> None:
    """Check all balances against the sums of the ledger and of the orders' reservations, then each asset's supply."""
    owned: defaultdict[str, int] = defaultdict(int)
    rest, frozen, counted = dict(accounts), dict(reserved), 0
    for balance in read(BalanceRow):
        counted += 1
        key = (balance.user_id, balance.currency_id)
        owned[balance.currency_id] += balance.available + balance.frozen
        _check_balance(report, data, balance, rest.pop(key, 0), frozen.pop(key, 0))
    for (account, currency), amount in rest.items():
        if account > 0 and amount:
            rows = [f"balance {account} {currency}"]
            report.add(Check.LEDGER, "entries without a balance", rows, plain_units(amount), "no balance")
    _check_reserved(report, frozen)
    report.count((Check.LEDGER, Check.NEGATIVE, Check.FROZEN), counted)
    for code, supply in data.supplies.items():
        outside = -accounts.get((EXTERNAL, code), 0)
        total = owned[code] + accounts.get((FEES, code), 0)
        if not total == supply == outside:
            actual = f"supply {plain_units(supply)}, owned {plain_units(total)}"
            report.add(Check.SUPPLY, "supply", [f"asset {code}"], f"{plain_units(outside)} came in", actual)
    report.count([Check.SUPPLY], len(data.supplies))


def _check_balance(report: Report, data: ReferenceData, balance: BalanceRow, posted: int, reserved: int) -> None:
    data.account(balance.user_id, balance.currency_id, balance.name)
    total = balance.available + balance.frozen
    if total != posted:
        report.add(Check.LEDGER, "available and frozen", [balance.name], plain_units(posted), plain_units(total))
    if balance.available < 0 or balance.frozen < 0:
        actual = f"{plain_units(balance.available)} and {plain_units(balance.frozen)}"
        report.add(Check.NEGATIVE, "available and frozen", [balance.name], "0 or more", actual)
    if balance.frozen != reserved:
        report.add(Check.FROZEN, "frozen", [balance.name], plain_units(reserved), plain_units(balance.frozen))


def _check_reserved(report: Report, reserved: Amounts) -> None:
    """Report the amounts that orders reserve and that no balance has frozen."""
    for (user_id, currency), amount in reserved.items():
        if amount:
            rows = [f"balance {user_id} {currency}"]
            report.add(Check.FROZEN, "reserved without a balance", rows, plain_units(amount), "no balance")


def check_some_balances(report: Report, data: ReferenceData, moved: set[tuple[int, str]], reserved: Amounts) -> None:
    """Check the balances that moved against their entries, and those that orders reserve against the orders.

    The database adds up the entries. That no balance is negative is checked of all balances.
    """
    frozen = dict(reserved)
    checked = moved | reserved.keys()
    for users in batched_keys(sorted({user_id for user_id, _ in checked})):
        posted = _posted(pair for pair in moved if pair[0] in set(users))
        rows = Balance.objects.filter(user__in=users).values_list(*BalanceRow._fields)
        for balance in fetch(rows, BalanceRow):
            key = (balance.user_id, balance.currency_id)
            if key in checked:
                total = posted.pop(key, 0) if key in moved else balance.available + balance.frozen
                _check_balance(report, data, balance, total, frozen.pop(key, 0))
        for (user_id, currency), total in posted.items():
            if total:
                names = [f"balance {user_id} {currency}"]
                report.add(Check.LEDGER, "entries without a balance", names, plain_units(total), "no balance")
    _check_reserved(report, frozen)
    negative = Balance.objects.filter(Q(available__lt=0) | Q(frozen__lt=0)).values_list(*BalanceRow._fields)
    for balance in fetch(negative[:MOST_OF_A_CHECK], BalanceRow):
        if (balance.user_id, balance.currency_id) not in checked:
            report.add(Check.NEGATIVE, "available and frozen", [balance.name], "0 or more")
    report.count([Check.LEDGER], len(moved))
    report.count((Check.NEGATIVE, Check.FROZEN), len(checked))


def _posted(pairs: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """The sums of these accounts' entries."""
    keys = sorted(pairs)
    if not keys:
        return {}
    # On SQLite the sum could overflow an integer: there whole numbers and fractions are added up apart.
    amount = f"SUM(amount / {UNIT}), SUM(amount % {UNIT})" if connection.vendor == "sqlite" else "SUM(amount), 0"
    places = ", ".join(["(%s, %s)"] * len(keys))
    values = "VALUES " if connection.vendor == "sqlite" else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT account, currency, {amount.replace('%', '%%')} FROM ledger_entries"  # noqa: S608
            f" WHERE (account, currency) IN ({values}{places}) GROUP BY account, currency",
            [part for key in keys for part in key],
        )
        return {(account, code): _units(whole, rest) for account, code, whole, rest in cursor.fetchall()}


def _units(whole: int | Decimal, rest: int) -> int:
    return whole * UNIT + rest if isinstance(whole, int) else stored_units(whole)
