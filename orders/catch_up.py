"""The events that a stream or its client missed, read from the database.

A market's events are numbered in the order in which they were committed. Events of different markets have no common
number, so their times decide which of them came later, with a margin. Because of the margin a client may receive an
event twice, and never misses one.
"""

import time
from datetime import datetime, timedelta

from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from base.streams.gap_detector import Position
from base.streams.messages import split_id
from markets.models import Market
from orders.models import OrderEvent

REPLAY_LIMIT = 1000
# A transaction may commit later than one of another market that began after it. No transaction lasts longer than this.
OVERLAP = timedelta(seconds=10)
# Bounds the rows that are read where the sequence decides. The database's clock never steps back further than this.
CLOCK_STEP = timedelta(seconds=60)
MARKETS_LIMIT = 200


class UnknownEvent(Exception):
    """The user has no event with this id."""


class TooManyMissed(Exception):
    """More was missed than a stream sends: the client must read REST again."""


def missed_events(user_id: int, last_event_id: str, *, limit: int = REPLAY_LIMIT) -> list[OrderEvent]:
    """The user's events after the last one that the client received, oldest first."""
    place = split_id(last_event_id)
    mine = OrderEvent.objects.filter(user_id=user_id)
    last = mine.filter(market_id=place[0], sequence=place[1]).first() if place else None
    if last is None:
        raise UnknownEvent(last_event_id[:100])
    same_market = Q(market_id=last.market_id, sequence__gt=last.sequence)
    others = ~Q(market_id=last.market_id) & Q(created_at__gte=last.created_at - OVERLAP)
    return _oldest(user_id, last.created_at - CLOCK_STEP, same_market | others, limit)


def events_between(user_id: int, since: Position, newest: Position, *, limit: int = REPLAY_LIMIT) -> list[OrderEvent]:
    """The user's events after `since`, in the markets that moved until `newest`, oldest first."""
    moved = [log for log, sequence in newest.newest.items() if sequence > since.newest.get(log, 0)]
    if not moved:
        return []
    if len(moved) > MARKETS_LIMIT:
        raise TooManyMissed(user_id)
    after = Q()
    for log in moved:
        after |= Q(market_id=log, sequence__gt=since.newest.get(log, 0))
    return _oldest(user_id, since.at - CLOCK_STEP, after, limit)


def current_position() -> Position:
    """The last event number of each market. One query, with one entry of an index for each market."""
    read_at = time.monotonic()
    newest = OrderEvent.objects.filter(market=OuterRef("pk")).order_by("-sequence").values("sequence")[:1]
    rows = list(Market.objects.annotate(newest=Subquery(newest), now=Now()).values_list("symbol", "newest", "now"))
    instant = min((now for _, _, now in rows), default=timezone.now() - CLOCK_STEP)
    return Position({symbol: sequence or 0 for symbol, sequence, _ in rows}, instant, read_at)


def newest_event_id(user_id: int) -> str | None:
    """The id of the user's last event: a new client that is cut off catches up from there."""
    newest = OrderEvent.objects.filter(user_id=user_id).order_by("-created_at", "-id").first()
    return newest.event_id if newest else None


def _oldest(user_id: int, earliest: datetime, after: Q, limit: int) -> list[OrderEvent]:
    mine = OrderEvent.objects.filter(after, user_id=user_id, created_at__gte=earliest)
    found = list(mine.order_by("created_at", "id")[: limit + 1])
    if len(found) > limit:
        raise TooManyMissed(user_id)
    return found
