"""The id under which an order is followed through answers, logs and the stream: a UUID of version 7, without hyphens.

It says when it was made, and so the order is found without an index on it: that would cost every order.
"""

import re
from datetime import UTC, datetime

from django.db.models import Q

from base.storage.time_search import ids_near
from orders.models import Order

_FORM = re.compile(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", re.ASCII)
# 48 bits of milliseconds reach beyond the last year that Python knows, and whoever asks looks around the time as well.
_END_OF_TIME = datetime(9000, 1, 1, tzinfo=UTC).timestamp()


def made_at(correlation_id: str) -> datetime | None:
    """When it was made; None for an id that is not ours."""
    if not _FORM.fullmatch(correlation_id):
        return None
    seconds = int(correlation_id[:12], 16) / 1000
    return datetime.fromtimestamp(seconds, UTC) if seconds < _END_OF_TIME else None


def correlated(word: str) -> Q:
    """The order that came with this id. One that was placed again in its stead bears it too, and is a dead letter's."""
    at = made_at(word)
    return Q(pk__in=[]) if at is None else ids_near(Order, at) & Q(correlation_id=word)


def may_be_correlation_id(word: str) -> bool:
    """Ids of orders from before the time was in them look alike."""
    return re.fullmatch(r"[0-9a-f]{32}", word, re.ASCII) is not None
