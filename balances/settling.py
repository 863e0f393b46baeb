"""Settling: the money of a batch is moved by one guarded update of all its balances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from balances.cache import balances_changed
from balances.models import Balance
from balances.services import BY_PAIR, make_balances
from base.storage.bulk import Additions, write_additions
from base.storage.literals import Dialect, dialect
from base.storage.statements import GuardFailed, Statement, execute_some
from core.batch import Account, Change
from core.money import to_units


class Overdrawn(Exception):
    """A balance would fall below zero. The stored rows contradict each other, because funds are frozen first."""


class _Move(NamedTuple):
    """A row of the update that changes balances."""

    user_id: int
    currency: str
    available: int
    frozen: int
    now: datetime


@dataclass(frozen=True)
class Moves:
    """What a batch does to balances, in (user, currency) order, and the statements that do it."""

    rows: list[_Move]
    statements: list[Statement]


def write_moves(changes: Mapping[Account, Change], now: datetime, to: Dialect) -> Moves:
    """Prepare the update that changes the balances of a batch. It needs no database."""
    rows = sorted(_Move(*key, *change, now) for key, change in changes.items() if change.available or change.frozen)
    return Moves(rows, _write(rows, to))


def settle(moves: Moves) -> None:
    """Move the money of a batch in the caller's transaction; `posting` writes the ledger entries.

    The update that changes the balances locks them one after the other in their order. Raises Overdrawn if one would
    fall below zero. The caller must roll its transaction back then.
    """
    moved = execute_some(moves.statements)
    if moved < len(moves.rows):
        _move_others(moves.rows, moved)
    balances_changed(move.user_id for move in moves.rows)


_ADDITIONS = Additions(Balance, BY_PAIR, ("user", "currency"), ("available", "frozen"), ("updated_at",))


def _write(rows: Sequence[_Move], to: Dialect) -> list[Statement]:
    """Change the balances that exist and suffice."""
    return write_additions(to, _ADDITIONS, rows)


def _move_others(moves: Sequence[_Move], moved: int) -> None:
    """Make the balances that do not exist yet, and change them too. All others must have been changed."""
    user_ids, currencies = {move.user_id for move in moves}, {move.currency for move in moves}
    rows = Balance.objects.filter(user_id__in=user_ids, currency_id__in=currencies)
    stored = {(row.user_id, row.currency_id): row for row in rows}
    missing = [move for move in moves if move[:2] not in stored]
    make_balances([move[:2] for move in missing])
    # One that was changed has this instant. Another transaction may have made one before it was found missing.
    new = [move for move in moves if move[:2] in stored and stored[move[:2]].updated_at != move.now]
    others = sorted([*missing, *new])
    if moved + execute_some(_write(others, dialect())) == len(moves):
        return
    for move in others:
        row = stored.get(move[:2], Balance(available=Decimal(0), frozen=Decimal(0)))
        available, frozen = to_units(row.available) + move.available, to_units(row.frozen) + move.frozen
        if available < 0 or frozen < 0:
            raise Overdrawn(f"balance {move[:2]}: available would be {available}, frozen would be {frozen}")
    raise GuardFailed("balances were not as expected")
