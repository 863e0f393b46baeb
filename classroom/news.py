"""News of a round: published once each, seen by everybody, and followed by the bots."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from base.words import one_line
from classroom.models import NEWS_LENGTH, News, Round
from classroom.rounds import RoundRefused, elapsed
from core.money import plain

MOST_NEWS = 200
SHOWN = 20


def publish(
    round_: Round, text: str, moves: Mapping[str, Decimal] | None = None, place: int | None = None
) -> News | None:
    """Publish it in the open round. None if the scenario's item of this place was published before.

    Raises RoundRefused.
    """
    try:
        words = one_line(text)
    except ValueError as error:
        raise RoundRefused(f"news {error}") from error
    if len(words) > NEWS_LENGTH:
        raise RoundRefused(f"news have at most {NEWS_LENGTH} characters")
    if not round_.is_open:
        raise RoundRefused("the round is closed")
    # Those of the scenario are limited by its form, and must find a place, because the timetable waits for them.
    if place is None and News.objects.filter(round=round_, place=None).count() >= MOST_NEWS:
        raise RoundRefused(f"a round has at most {MOST_NEWS} news beside those of its scenario")
    now = timezone.now()
    row: dict[str, Any] = {"text": words, "moves": {symbol: plain(move) for symbol, move in (moves or {}).items()}}
    try:
        with transaction.atomic():
            return News.objects.create(
                round=round_, place=place, at_seconds=elapsed(round_, now), published_at=now, **row
            )
    except IntegrityError:
        return None


def newest_news(round_: Round, most: int = SHOWN) -> QuerySet[News]:
    return News.objects.filter(round=round_).order_by("-id")[:most]
