"""The standing of a round: the profit of each student, by two statements, as it was within the last second."""

import threading
from decimal import Decimal
from typing import Any, NamedTuple

from cachetools import TTLCache, cached
from django.db import connection

from classroom.models import Round, RoundMarket, RoundState, Seat
from classroom.profit import Held, profits, ranks
from core.money import UNIT, stored_units, to_decimal, to_units
from marketdata.depth import read_bests
from markets.models import Trade

REMEMBERED_SECONDS = 1
# More than a class has, so that the statement has an end.
MOST_ROWS = 2_000

_HELD = (
    "SELECT began.user_id, began.currency_id, began.amount, COALESCE(owned.available, 0), COALESCE(owned.frozen, 0)"
    " FROM class_seats seat"
    " JOIN class_starting_balances began ON began.round_id = seat.round_id AND began.user_id = seat.user_id"
    " LEFT JOIN balances owned ON owned.user_id = began.user_id AND owned.currency = began.currency_id"
    " WHERE seat.round_id = %s AND NOT seat.is_bot ORDER BY seat.id LIMIT %s"
)


class Line(NamedTuple):
    """One student's line of the leaderboard."""

    rank: int
    user_id: int
    name: str
    team: str
    profit: Decimal


class Mark(NamedTuple):
    """What an asset counts, and why: the last trade, the middle of the book, or the price at the start."""

    symbol: str
    asset: str
    price: Decimal
    source: str


def read_standing(round_: Round) -> list[Line]:
    """The students, best first; at the same profit by name."""
    seats = list(Seat.objects.filter(round=round_, is_bot=False).order_by("name")[:MOST_ROWS])
    if round_.state == RoundState.CLOSED:
        gained = {seat.user_id: to_units(seat.profit or Decimal(0)) for seat in seats}
    else:
        marks = {mark.asset: to_units(mark.price) for mark in read_marks(round_)}
        gained = profits(_read_held(round_), {round_.currency_id: UNIT, **marks})
    # Sorted by name already, and Python's sort keeps that where the profits are the same.
    seats.sort(key=lambda seat: -gained.get(seat.user_id, 0))
    places = ranks([gained.get(seat.user_id, 0) for seat in seats])
    return [
        Line(rank, seat.user_id, seat.name, seat.team, to_decimal(gained.get(seat.user_id, 0)))
        for rank, seat in zip(places, seats, strict=True)
    ]


def _read_held(round_: Round) -> list[Held]:
    """One statement, so that all balances are of one moment: a trade that is being settled counts as a whole."""
    with connection.cursor() as cursor:
        cursor.execute(_HELD, (round_.pk, MOST_ROWS))
        rows = cursor.fetchall()
    return [
        Held(user_id, asset, stored_units(began), stored_units(available) + stored_units(frozen))
        for user_id, asset, began, available, frozen in rows
    ]


def read_marks(round_: Round) -> list[Mark]:
    """One for each market of the round."""
    markets = list(RoundMarket.objects.filter(round=round_).select_related("market").order_by("id"))
    bests = read_bests([each.market_id for each in markets])
    return [_mark(each, *bests.get(each.market_id, (None, None))) for each in markets]


def _mark(each: RoundMarket, bid: Decimal | None, ask: Decimal | None) -> Mark:
    known = (each.market_id, each.market.base_id)
    trades = Trade.objects.filter(market=each.market_id, sequence__gte=each.first_sequence)
    if each.end_sequence is not None:
        trades = trades.filter(sequence__lt=each.end_sequence)
    last = trades.order_by("-sequence").values_list("price", flat=True).first()
    if last is not None:
        return Mark(*known, last, "the last trade")
    if bid is not None and ask is not None:
        return Mark(*known, (bid + ask) / 2, "the middle of the book")
    return Mark(*known, each.start_price, "the start: nothing has traded")


class Shown(NamedTuple):
    lines: list[Line]
    marks: list[Mark]


@cached(
    TTLCache[Any, Shown](16, REMEMBERED_SECONDS),
    key=lambda round_: (round_.pk, round_.state),
    # Of those who look at the same moment one reads, and the others wait for it.
    condition=threading.Condition(),
)
def find_standing(round_: Round) -> Shown:
    """The standing as it was within the last second, for all who look at it."""
    return Shown(read_standing(round_), read_marks(round_))
