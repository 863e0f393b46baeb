"""Celery's entry points."""

import logging
from typing import Annotated, Any

from celery import bootsteps, current_app, shared_task
from celery.signals import beat_init
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from prometheus_client import start_http_server
from pydantic import Field, StringConstraints
from structlog.contextvars import bound_contextvars
from typing_extensions import TypedDict

from base.telemetry.metrics import registry
from commands import queue
from markets.models import SYMBOL_PATTERN
from matching.worker import beat, chores, poller, transport
from matching.worker.arguments import checked
from matching.worker.subscription import MarketPoller, MarketSubscription
from users import keys, sessions

logger = logging.getLogger(__name__)

# With \z, because $ lets a line end follow.
Symbol = Annotated[str, StringConstraints(pattern=rf"\A{SYMBOL_PATTERN}\z")]
Line = Annotated[str, StringConstraints(max_length=2000)]


class Letter(TypedDict):
    """A dead letter as `matching.failure` announces it."""

    id: int
    symbol: Symbol
    kind: Line
    orderId: int | None
    correlationId: Line | None
    error: Line


class MetricsServer(bootsteps.StartStopStep):
    """Listens on METRICS_PORT, in a thread, from the worker's start to its end."""

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self.enabled = bool(settings.METRICS_PORT)
        self.server: Any = None

    def start(self, worker: Any) -> None:
        try:
            self.server, _ = start_http_server(settings.METRICS_PORT, registry=registry())
        except OSError as error:
            raise ImproperlyConfigured(f"METRICS_PORT {settings.METRICS_PORT} cannot be used: {error}") from error

    def stop(self, parent: Any) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    terminate = stop


class Warming(bootsteps.StartStopStep):
    """Fills the caches once, when the worker starts; not in one that refuses to match."""

    requires = (MarketPoller,)

    def start(self, worker: Any) -> None:
        chores.start_warming()


# The result is not stored: a monitor such as Flower receives it, at the length of its first orders and trades.
@shared_task(name=queue.MATCH_TASK, ignore_result=True, resultrepr_maxsize=10_000)
@checked
def match(symbol: Symbol) -> dict[str, Any]:
    """A bell rang: apply the symbol's waiting commands."""
    return poller.match(symbol).as_result()


@shared_task(name=queue.DEAD_LETTER_TASK, ignore_result=True)
@checked
def dead_letter(letter: Letter) -> None:
    """Log that a command was given up, for operators who read the logs of this worker."""
    with bound_contextvars(orderId=letter["orderId"], correlationId=letter.get("correlationId")):
        logger.error("dead letter %(id)s: %(kind)s of order %(orderId)s in %(symbol)s: %(error)s", letter)


@shared_task(name="matching.synchronise_depths", ignore_result=True)
@checked
def synchronise_depths(symbols: Annotated[list[Symbol], Field(max_length=100_000)] | None = None) -> None:
    """Beat sends it every five minutes. What is not reached in time is left to another task, behind the bells."""
    rest = chores.synchronise_depths(symbols)
    if rest:
        synchronise_depths.apply_async(args=(rest,), expires=settings.SYNCHRONISE_SECONDS)


@shared_task(name="users.delete_expired_sessions", ignore_result=True)
def delete_expired_sessions() -> int:
    """beat sends it. Any worker does it between its bells."""
    return sessions.delete_expired()


@shared_task(name="users.fill_missing_keys", ignore_result=True)
def fill_missing_keys() -> int:
    """Beat sends it every minute, because processes of the version before may store users without keys."""
    return keys.fill_missing()


@shared_task(name="markets.count_volumes", ignore_result=True)
@checked
def count_volumes(symbols: Annotated[list[Symbol], Field(max_length=100_000)] | None = None) -> None:
    """Beat sends it every minute. What is not reached in time is left to another task, behind the bells."""
    rest = chores.count_volumes(symbols)
    if rest is not None:
        count_volumes.apply_async(args=(rest,), expires=60)


@shared_task(name="matching.fill_filters", ignore_result=True)
def fill_filters() -> None:
    """Beat sends it every five minutes, because Redis may have lost them."""
    chores.start_filling()


@shared_task(name="matching.warm_caches", ignore_result=True)
def warm_caches() -> None:
    """Beat sends it once a day; each worker does it when it starts."""
    chores.start_warming()


@shared_task(name="matching.record_snapshots", ignore_result=True)
def record_snapshots() -> None:
    """Beat sends it every minute."""
    chores.record_snapshots()


transport.install()
beat_init.connect(beat.begin_heartbeat, weak=False)
current_app.steps["worker"].add(MetricsServer)
current_app.steps["worker"].add(Warming)
current_app.steps["consumer"].add(MarketSubscription)
current_app.steps["worker"].add(MarketPoller)
