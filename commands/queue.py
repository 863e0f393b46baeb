"""The one door to the engine: a command row in the inbox, and the bell that wakes the market's worker.

The row is the truth. The Celery message carries no order: if it is lost, doubled, late or out of order, the order is
only delayed, because each worker's poller finds the commands that wait for longer than a second.
"""

import logging
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from time import monotonic
from typing import Any

from cachetools import TTLCache, cached
from celery import current_app
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import Min
from django.utils import timezone

from base.storage.breakers import Breaker, ServerAway, breaker_of
from base.storage.bulk import batched, write_inserts
from base.storage.literals import dialect
from base.storage.redis import TIMEOUT_SECONDS
from base.storage.statements import execute
from base.web.errors import MarketBusy
from commands.held import let_go_first
from commands.models import Command
from core.types import TRADING_STATUS_AFTER, CommandKind

logger = logging.getLogger(__name__)

MATCH_TASK = "matching.match"
DEAD_LETTER_TASK = "matching.dead_letter"
QUEUE_PREFIX = "orders."
# Symbols are in upper case: no market's queue has this name.
DEAD_LETTER_QUEUE = "orders.dlq"
BELL_SECONDS, BELL_EXPIRES_SECONDS = 1, 30
STALE_SECONDS = 1.0
CANCELS_AT_ONCE = 500


def submit(kind: CommandKind, orders: Sequence[tuple[str, int]]) -> None:
    """Store commands for pairs of symbol and order id in the caller's transaction. Each market is rung once."""
    let_go_first(kind, [order_id for _, order_id in orders])
    now = timezone.now()
    rows = [(symbol, kind.value, order_id, now) for symbol, order_id in orders]
    execute(write_inserts(dialect(), Command, ("market", "kind", "order_id", "created_at"), rows))
    for symbol in sorted({symbol for symbol, _ in orders}):
        ring(symbol)


def submit_change(kind: CommandKind, symbol: str, order_id: int, data: Mapping[str, Any], reserved: Decimal) -> None:
    """The same of a command that says more, and for which the caller freezes funds."""
    let_go_first(kind, [order_id, data.get("replaces")])
    row = {"kind": kind.value, "order_id": order_id, "data": dict(data), "reserved": reserved}
    Command.objects.create(market_id=symbol, created_at=timezone.now(), **row)
    ring(symbol)


def submit_with_data(kind: CommandKind, orders: Sequence[tuple[str, int, Mapping[str, Any]]]) -> None:
    """The same with what else each command says: (symbol, order id, data)."""
    let_go_first(kind, [order_id for _, order_id, _ in orders])
    each = {"kind": kind.value, "created_at": timezone.now()}
    rows = [{"market_id": symbol, "order_id": order_id, "data": dict(data)} for symbol, order_id, data in orders]
    Command.objects.bulk_create(Command(**row, **each) for row in rows)
    for symbol in sorted({symbol for symbol, _, _ in orders}):
        ring(symbol)


def submit_cancels(symbol: str, order_ids: Sequence[int], reason: str | None = None) -> list[int]:
    """Store a cancel for each of a market's orders that has none waiting, and ring. Return for which.

    `reason` is that of the order's last event, if it is not that its user wanted it.

    By the orders' ids alone: what waits besides costs nothing, however much it is. So many at once are a transaction,
    unless the caller has one: the first are applied while the others are stored, and are not lost with them.
    """
    stored: list[int] = []
    for some in batched(order_ids, CANCELS_AT_ONCE):
        with transaction.atomic(savepoint=False):
            waiting = Command.objects.filter(order_id__in=some, kind=CommandKind.CANCEL)
            asked = set(waiting.values_list("order_id", flat=True))
            new = [order_id for order_id in some if order_id not in asked]
            if reason is None:
                submit(CommandKind.CANCEL, [(symbol, order_id) for order_id in new])
            else:
                submit_with_data(CommandKind.CANCEL, [(symbol, order_id, {"reason": reason}) for order_id in new])
        stored += new
    if not stored:
        # All of them wait already, but their bell may have been lost.
        ring(symbol)
    return stored


def submit_trading_status(symbol: str, status: str, data: Mapping[str, Any] | None = None) -> None:
    """Store the command that sets the market's trading status, behind the commands before it, and ring."""
    [kind] = [kind for kind, becomes in TRADING_STATUS_AFTER.items() if becomes == status]
    Command.objects.create(market_id=symbol, kind=kind, data=data, created_at=timezone.now())
    ring(symbol)


def ring(symbol: str) -> None:
    """Queue a matching run for the symbol once the surrounding transaction commits, unless one is waiting."""
    transaction.on_commit(partial(ring_now, symbol), robust=True)


def ring_now(symbol: str) -> None:
    """Queue a matching run at once, unless one is waiting.

    Never raises: the order is stored already, and its answer must not be an error because a broker is dead or frozen.
    While the broker is away, the workers' pollers find the order.
    """
    try:
        # The broker first: the flag of a bell that then does not ring would keep the next bell from ringing.
        if not _broker().is_open and _is_first(symbol):
            # Workers drop an old bell, and so does a broker that can.
            lasting = {"expires": BELL_EXPIRES_SECONDS, "expiration": BELL_EXPIRES_SECONDS}
            _send(MATCH_TASK, symbol, queue_name(symbol), **lasting)
    except ServerAway:
        pass
    except Exception as error:
        logger.warning("bell for %s not rung, the poller will find its commands: %s", symbol, error)


def _is_first(symbol: str) -> bool:
    """Whether no bell is waiting. If the cache does not answer, one bell too many is better than none."""
    try:
        with breaker_of(settings.CACHE_URL).calling():
            return bool(cache.add(_bell(symbol), 1, timeout=BELL_SECONDS))
    except ServerAway:
        return True
    except Exception as error:
        logger.warning("bell flag of %s not set: %s", symbol, error)
        return True


def clear_bell(symbol: str) -> None:
    """Delete the flag of the bell, so that the next order rings again.

    Called before the inbox is read. After it, a command that is stored between the reading and the deletion would ring
    no bell.
    """
    try:
        with breaker_of(settings.CACHE_URL).calling():
            cache.delete(_bell(symbol))
    except ServerAway:
        pass
    except Exception as error:
        logger.warning("bell flag of %s not cleared, it expires by itself: %s", symbol, error)


class WaitingSince:
    """Since when the oldest command of each market has been the same, as one process sees it that looks now and then.

    By the monotonic clock of that process and not by when the commands came: the clocks of the hosts that store them
    may be ahead, and step.
    """

    def __init__(self) -> None:
        self._oldest: dict[str, tuple[int, float]] = {}

    def see(self, symbol: str, oldest: int | None) -> float:
        """An instant of the monotonic clock: now, where nothing waits, or another command than before."""
        now = monotonic()
        if oldest is None:
            self._oldest.pop(symbol, None)
            return now
        known, since = self._oldest.get(symbol, (None, now))
        if known != oldest:
            since = now
        self._oldest[symbol] = oldest, since
        return since


class StaleMarkets:
    """The markets whose oldest command waits longer than a second, for a process that looks again and again.

    At its first look all that waits is stale: it may have waited for long, and who received its bell may be dead.
    """

    def __init__(self) -> None:
        self._since = WaitingSince()
        self._drained: set[str] = set()
        self._has_looked = False

    def look(self) -> list[str]:
        oldest = Command.objects.values_list("market_id").annotate(Min("id"))
        since = {symbol: self._since.see(symbol, command) for symbol, command in oldest}
        drained = self._drained if self._has_looked else set(since)
        self._drained, self._has_looked = set(), True
        now = monotonic()
        return [symbol for symbol in since if now - since[symbol] >= STALE_SECONDS or symbol in drained]

    def drained(self, symbol: str) -> None:
        """What the time box of a run left has waited long enough, and no bell rings for it."""
        self._drained.add(symbol)


def announce(letter: Mapping[str, Any]) -> None:
    """Publish a dead letter on orders.dlq, for monitors. Never raises, because the row is the truth."""
    try:
        _send(DEAD_LETTER_TASK, dict(letter), DEAD_LETTER_QUEUE)
    except Exception as error:
        logger.warning("dead letter %s not announced: %s", letter.get("id"), error)


def queue_name(symbol: str) -> str:
    """The symbol's own Celery queue."""
    return QUEUE_PREFIX + symbol


def _bell(symbol: str) -> str:
    return f"bell:{symbol}"


def _broker() -> Breaker:
    return breaker_of(current_app.conf.broker_write_url)


def _send(task: str, argument: Any, queue: str, **options: Any) -> None:
    """Raises ServerAway, at once while the broker is known to be away."""
    # Redis heeds the settings' timeouts, AMQP those that come with the message.
    patience: dict[str, Any] = {"timeout": TIMEOUT_SECONDS, "confirm_timeout": TIMEOUT_SECONDS}
    with _broker().calling():
        current_app.send_task(
            task, args=[argument], queue=queue, ignore_result=True, retry=False, **patience, **options
        )


# The commands of orders that users place or change.
_ASKED = (CommandKind.NEW, CommandKind.AMEND, CommandKind.REPLACE, CommandKind.OCO, CommandKind.REFUSE)
# How long a process goes by what it last read; what all processes take in meanwhile may go beyond the limit.
REMEMBERED_SECONDS, REMEMBERED = 0.5, 10_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in a market: how many commands, how many new orders among them, and since when.

    Each is counted no further than one above the limit. `oldest` is by the clock of the host that stored it, `since` an
    instant of this process: when it first saw it.
    """

    waiting: int
    orders: int
    oldest: datetime | None
    since: float = math.inf


def refuse_when_busy(symbol: str) -> None:
    """Raises MarketBusy where too many orders wait, or something for too long.

    Cancels are not counted: whoever has many orders open would else keep everybody out by cancelling them.
    """
    backlog = find_backlog(symbol)
    limit = settings.INTAKE_MAX_WAITING
    if backlog.orders > limit:
        raise MarketBusy(
            f"more than {limit} orders of {symbol} wait: nothing was stored, try again later",
            symbol=symbol,
            waiting=backlog.orders,
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
    """What waited within the last half second."""
    inbox = Command.objects.filter(market_id=symbol).order_by("id")
    first = inbox.values_list("id", "created_at").first()
    if first is None:
        _first_seen.see(symbol, None)
        return Backlog(0, 0, None)
    oldest, created_at = first
    most = settings.INTAKE_MAX_WAITING + 1
    waiting = inbox.values("id")[:most].count()
    # The kinds are looked at only where it matters, because the index does not hold them.
    orders = waiting if waiting < most else inbox.filter(kind__in=_ASKED).values("id")[:most].count()
    return Backlog(waiting, orders, created_at, _first_seen.see(symbol, oldest))


_first_seen = WaitingSince()


def _age_seconds(backlog: Backlog) -> float:
    return max(0.0, monotonic() - backlog.since)
