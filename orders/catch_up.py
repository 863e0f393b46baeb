"""The events that a stream or its client missed, read from the database.

A market's events are numbered in the order in which they were committed, and events of different markets have no common
order. So a bookmark has a number for each market, and no clock decides anything.
"""

import heapq
import time
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import cast

from django.db.models import OuterRef, Q, QuerySet

from base.storage.indexes import first_along
from base.storage.lineage import read_lineage
from base.streams.bookmark import MOST_LOGS, lineage_of, read_bookmark
from base.streams.gap_detector import Position
from markets.models import Market
from orders.models import OrderEvent

REPLAY_LIMIT = 1000
# The index of a user's events in each market.
_BY_PLACE = ("user_id", "market_id", "sequence")


class UnknownEvent(Exception):
    """The bookmark names an event that is not the user's, leaves out a market in which the user had some, or is old."""


class TooManyMissed(Exception):
    """More was missed than a stream sends: the client must read REST again."""


def missed_events(user_id: int, bookmark: str, *, limit: int = REPLAY_LIMIT) -> list[OrderEvent]:
    """The user's events after the bookmark, in each market oldest first. Raises UnknownEvent and TooManyMissed."""
    last = read_bookmark(bookmark)
    if last is None or lineage_of(bookmark) != read_lineage():
        raise UnknownEvent(bookmark[:100])
    newest = newest_numbers(user_id)
    latest = _latest_of(user_id, last)
    moved = {log: last.get(log, 0) for log, sequence in newest.items() if sequence > last.get(log, 0)}
    begun = [log for log in moved if log not in last]
    # Where the user had events before the bookmark, the client may have any of them.
    if begun and _first_of(user_id, begun) <= latest:
        raise UnknownEvent(bookmark[:100])
    return _after(user_id, moved, limit)


def events_between(user_id: int, since: Position, newest: Position, *, limit: int = REPLAY_LIMIT) -> list[OrderEvent]:
    """The user's events after `since`, in the markets that moved until `newest`. Raises UnknownEvent, TooManyMissed."""
    if since.newest and since.lineage != newest.lineage:
        raise UnknownEvent(user_id)
    moved = {log: since.newest.get(log, 0) for log, sequence in newest.newest.items()}
    return _after(user_id, {log: last for log, last in moved.items() if newest.newest[log] > last}, limit)


def current_position() -> Position:
    """The last event number of each market. One query, with one entry of an index for each market, and the lineage."""
    read_at, lineage = time.monotonic(), read_lineage()
    events = OrderEvent.objects.filter(market=OuterRef("pk"))
    newest = first_along(events, "sequence", "market_id", "sequence", backwards=True)
    rows = Market.objects.annotate(newest=newest).values_list("symbol", "newest")
    return Position({symbol: sequence or 0 for symbol, sequence in rows}, read_at, lineage)


def newest_numbers(user_id: int) -> dict[str, int]:
    """The number of the user's last event in each market in which there is one."""
    theirs = _of(user_id).filter(market=OuterRef("pk"))
    newest = first_along(theirs, "sequence", *_BY_PLACE, backwards=True)
    rows = Market.objects.annotate(newest=newest).values_list("symbol", "newest")
    return {symbol: sequence for symbol, sequence in rows if sequence is not None}


def _latest_of(user_id: int, last: Mapping[str, int]) -> int:
    """The largest key of the events that the bookmark names. Raises UnknownEvent if one is not the user's."""
    named = Q()
    for log, sequence in last.items():
        named |= Q(market_id=log, sequence=sequence)
    keys = list(_of(user_id).filter(named).values_list("pk", flat=True)) if last else []
    if len(keys) < len(last):
        raise UnknownEvent(user_id)
    return max(keys, default=0)


def _first_of(user_id: int, logs: list[str]) -> int:
    """The smallest key of the user's first events in these markets."""
    theirs = _of(user_id).filter(market=OuterRef("pk"))
    markets = Market.objects.filter(pk__in=logs).annotate(first=first_along(theirs, "pk", *_BY_PLACE))
    return min(cast("Iterable[int]", markets.values_list("first", flat=True)))


def _after(user_id: int, last: Mapping[str, int], limit: int) -> list[OrderEvent]:
    """The user's events after the number that is given for each market."""
    if not last:
        return []
    if len(last) > MOST_LOGS:
        raise TooManyMissed(user_id)
    after = Q()
    for log, sequence in last.items():
        after |= Q(market_id=log, sequence__gt=sequence)
    found = list(_of(user_id).filter(after).order_by("market_id", "sequence")[: limit + 1])
    if len(found) > limit:
        raise TooManyMissed(user_id)
    markets = [list(events) for _, events in groupby(found, key=lambda event: event.market_id)]
    # By their keys, which show about what a user did first; within a market the sequence stays.
    return list(heapq.merge(*markets, key=lambda event: event.pk))


def _of(user_id: int) -> QuerySet[OrderEvent]:
    return OrderEvent.objects.filter(user_id=user_id)
