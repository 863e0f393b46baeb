"""One user's share of what waits in a market, so that nobody's orders alone keep the others' waiting.

It matters only in a market that allows each user more open orders than this, because an order that waits is open. Like
the backlog it goes by what was read within the last half second, and costs nothing while little waits.
"""

import threading
from typing import Any

from cachetools import TTLCache, cached
from django.conf import settings

from base.web.errors import TooManyWaiting
from commands.models import Command
from commands.queue import REMEMBERED, REMEMBERED_SECONDS, find_backlog
from core.types import ACTIVE_PHASES, CommandKind, Phase
from orders.models import Order

# So many of a user's open orders are looked at for amends that wait.
MOST_LOOKED_AT = 10_000


def refuse_beyond_share(user_id: int, symbol: str) -> None:
    """Raises TooManyWaiting where as many of the user's orders wait in the market as one user's may."""
    most = settings.INTAKE_MAX_WAITING_PER_USER
    if find_backlog(symbol).orders <= most:
        return
    waiting = count_waiting(user_id, symbol)
    if waiting >= most:
        raise TooManyWaiting(
            f"{waiting} of your orders in {symbol} wait, and no more than {most} may: nothing was stored",
            symbol=symbol,
            waiting=waiting,
            maxWaiting=most,
        )


@cached(TTLCache[Any, int](REMEMBERED, REMEMBERED_SECONDS), lock=threading.Lock())
def count_waiting(user_id: int, symbol: str) -> int:
    """How many of the user's orders and amends wait for the market's worker, counted no further than one above the
    share.
    """
    most = settings.INTAKE_MAX_WAITING_PER_USER + 1
    mine = Order.objects.filter(user_id=user_id, market_id=symbol)
    waiting = mine.filter(phase=Phase.TAKING).values("id")[:most].count()
    open_now = list(mine.filter(phase__in=ACTIVE_PHASES).values_list("id", flat=True)[:MOST_LOOKED_AT])
    amends = Command.objects.filter(kind=CommandKind.AMEND, order_id__in=open_now)
    return min(most, waiting + amends.values("id")[:most].count())
