"""How much waits in a market's inbox: beyond a number or an age the market takes no new orders for the moment.

What waits has its funds frozen, and trades at prices that may be long gone: rather than make that longer, the client is
told to come again. Cancels are always taken: they make the book safer, and there are no more of them than orders.
"""

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cachetools import TTLCache, cached
from django.conf import settings
from django.utils import timezone

from base.web.errors import MarketBusy
from commands.models import Command

# How long a process goes by what it last read; what all processes take in meanwhile may go beyond the limit.
REMEMBERED_SECONDS = 0.5
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """The waiting commands of a market: how many, counted no further than one above the limit, and since when."""

    waiting: int
    oldest: datetime | None


def refuse_when_busy(symbol: str) -> None:
    """Raises MarketBusy where too much waits, or something for too long."""
    backlog = find_backlog(symbol)
    limit = settings.INTAKE_MAX_WAITING
    if backlog.waiting > limit:
        raise MarketBusy(
            f"more than {limit} commands of {symbol} wait: nothing was stored, try again later",
            symbol=symbol,
            waiting=backlog.waiting,
            maxWaiting=limit,
        )
    age, max_age = _age_seconds(backlog), settings.INTAKE_MAX_AGE_SECONDS
    if age > max_age:
        raise MarketBusy(
            f"commands of {symbol} wait for {age:.0f} seconds: nothing was stored, try again later",
            symbol=symbol,
            oldestSeconds=round(age),
            maxAgeSeconds=max_age,
        )


@cached(TTLCache[Any, Backlog](REMEMBERED, REMEMBERED_SECONDS), lock=threading.Lock())
def find_backlog(symbol: str) -> Backlog:
    """What waited within the last half second: the first command and, if there is one, how many follow."""
    inbox = Command.objects.filter(market_id=symbol).order_by("id")
    oldest = inbox.values_list("created_at", flat=True).first()
    if oldest is None:
        return Backlog(0, None)
    return Backlog(inbox.values("id")[: settings.INTAKE_MAX_WAITING + 1].count(), oldest)


def _age_seconds(backlog: Backlog) -> float:
    """By the clock of the servers that take orders, which also wrote when the command came; not by the database's."""
    return 0.0 if backlog.oldest is None else (timezone.now() - backlog.oldest).total_seconds()
