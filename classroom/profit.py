"""Profit: what a student owns more than at the start of the round, each asset at its mark. Integers of units."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from core.money import MAX_UNITS, UNIT


class Held(NamedTuple):
    """What a user owned of an asset at the start, and owns now, in units."""

    user_id: int
    asset: str
    began: int
    owned: int


def profits(held: Iterable[Held], marks: Mapping[str, int]) -> dict[int, int]:
    """By user, in units of the currency whose mark is one. What is less than a unit is cut off towards zero at the end.

    An asset without a mark counts nothing: it cannot be traded in the round. A profit that is larger than any amount
    may be is cut to the largest: the last price is that of one trade, however small, and nobody could pay it for all.
    """
    exact: dict[int, int] = {}
    for row in held:
        gained = (row.owned - row.began) * marks.get(row.asset, 0)
        exact[row.user_id] = exact.get(row.user_id, 0) + gained
    return {user_id: _cut(-(-total // UNIT) if total < 0 else total // UNIT) for user_id, total in exact.items()}


def _cut(profit: int) -> int:
    return max(-MAX_UNITS, min(MAX_UNITS, profit))


def ranks(sorted_profits: Iterable[int]) -> list[int]:
    """The rank of each, best first: who has the same profit has the same rank."""
    found: list[int] = []
    last: int | None = None
    for place, profit in enumerate(sorted_profits, 1):
        found.append(found[-1] if profit == last else place)
        last = profit
    return found
