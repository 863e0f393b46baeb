"""Settling: the money of a batch is moved by one guarded update of all its balances."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from balances.cache import balances_changed
from balances.models import Balance
from balances.services import BY_PAIR, make_balances
from base.storage.bulk import GuardFailed, execute_some, write_additions
from base.storage.literals import dialect
from core.batch import Account, Change
from core.money import to_units


class Overdrawn(Exception):
    """A balance would fall below zero. The stored rows contradict each other, because funds are frozen first."""


def settle(changes: Mapping[Account, Change], now: datetime) -> None:
    """Move the money of a batch in the caller's transaction; `posting` writes the ledger entries.

    The update that changes the balances locks them one after the other in (user, currency) order. Raises Overdrawn if
    one would fall below zero. The caller must roll its transaction back then.
    """
    moves = sorted(_Move(*key, *change, now) for key, change in changes.items() if change.available or change.frozen)
    moved = _move(moves)
    if moved < len(moves):
        _move_others(moves, moved)
    balances_changed(move.user_id for move in moves)


class _Move(NamedTuple):
    """A row of the update that changes balances."""

    user_id: int
    currency: str
    available: int
    frozen: int
    now: datetime


def _move(moves: Sequence[_Move]) -> int:
    """Change the balances that exist and suffice, and return how many these are."""
    statements = write_additions(
        dialect(),
        Balance,
        key=("user", "currency"),
        index=BY_PAIR,
        added=("available", "frozen"),
        fields=("updated_at",),
        rows=moves,
    )
    return execute_some(statements)


def _move_others(moves: Sequence[_Move], moved: int) -> None:
    """Make the balances that do not exist yet, and change them too. All others must have been changed."""
    user_ids, currencies = {move.user_id for move in moves}, {move.currency for move in moves}
    rows = Balance.objects.filter(user_id__in=user_ids, currency_id__in=currencies)
    stored = {(row.user_id, row.currency_id): row for row in rows}
    missing = [move for move in moves if move[:2] not in stored]
    make_balances([move[:2] for move in missing])
    if moved + _move(missing) == len(moves):
        return
    for move in moves:
        row = stored.get(move[:2], Balance(available=Decimal(0), frozen=Decimal(0)))
        # One that was changed by now has this instant.
        if row.updated_at != move.now:
            available, frozen = to_units(row.available) + move.available, to_units(row.frozen) + move.frozen
            if available < 0 or frozen < 0:
                raise Overdrawn(f"balance {move[:2]}: available would be {available}, frozen would be {frozen}")
    raise GuardFailed("another transaction made a balance that was found missing")
