"""The correlation id, which names an order in answers, logs and streams: a UUID of version 7, without hyphens.

The id holds the time at which it was made. The order is found by that time, so the column needs no index, which each
insert would have to update.
"""

import re
from datetime import UTC, datetime

from django.db.models import Q

from base.storage.time_search import ids_near
from orders.models import Order

_FORM = re.compile(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", re.ASCII)
# 48 bits of milliseconds reach beyond the last year of Python's datetime, and `ids_near` adds a margin to the time.
_END_OF_TIME = datetime(9000, 1, 1, tzinfo=UTC).timestamp()


def made_at(correlation_id: str) -> datetime | None:
    """The time at which the id was made; None for a text that is no such id."""
    if not _FORM.fullmatch(correlation_id):
        return None
    seconds = int(correlation_id[:12], 16) / 1000
    return datetime.fromtimestamp(seconds, UTC) if seconds < _END_OF_TIME else None


def correlated(text: str) -> Q:
    """The order of this id. An order that was requeued from a dead letter has the id of the first one."""
    at = made_at(text)
    return Q(pk__in=[]) if at is None else ids_near(Order, at) & Q(correlation_id=text)


def may_be_correlation_id(text: str) -> bool:
    """Whether the text has the form of a correlation id, also of an old one that does not hold its time."""
    return re.fullmatch(r"[0-9a-f]{32}", text, re.ASCII) is not None
