"""What a load balancer or a supervisor asks: is the process alive, and can it do its work? No one need sign in."""

from typing import Final, Literal

import redis
from django.conf import settings
from django.db import Error
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from audit.models import Outcome
from audit.run import last_run
from base.storage.breakers import ServerAway, breaker_of
from base.storage.outages import is_read_only
from base.storage.redis import redis_client
from base.web.errors import timestamp
from commands.models import Command
from core.types import MarketStatus
from markets.models import Market
from matching.worker.heartbeat import live_workers
from operations.answers import LastAudit, Liveness, Readiness

OK: Final = "ok"
AWAY: Final = "away"
READ_ONLY: Final = "read-only"


@require_safe
def live(_: HttpRequest) -> JsonResponse:
    """The process answers. Nothing else is checked: a restart would not help against a database that is away."""
    alive: Liveness = {"status": OK}
    return JsonResponse(alive)


@require_safe
def ready(_: HttpRequest) -> JsonResponse:
    """503 without a database that takes writes. Redis may be away, because the workers' pollers match without it.

    Nor is a market without a worker a reason to send orders elsewhere: they are stored here all the same.
    """
    state: Readiness = {
        "status": OK,
        "database": OK,
        "redis": _redis(),
        "oldestCommandSeconds": None,
        "workers": None,
        "lastAudit": None,
    }
    try:
        workers = _workers()
        state |= {"oldestCommandSeconds": _oldest_command_seconds(), "workers": workers, "lastAudit": _last_audit()}
        # It changes no row and locks none, but a database that takes no writes refuses it.
        Command.objects.filter(pk=0).update(order_id=None)
    except Error as error:
        state |= {"status": "unavailable", "database": READ_ONLY if is_read_only(error) else AWAY}
        return JsonResponse(state, status=503)
    if not all(workers.values()):
        state["status"] = "degraded"
    return JsonResponse(state)


def _workers() -> dict[str, int]:
    """How many serve each market that is not halted."""
    return live_workers(Market.objects.exclude(status=MarketStatus.HALTED).values_list("symbol", flat=True))


def _oldest_command_seconds() -> float | None:
    """How long the first command of all inboxes has been waiting; None if none waits. By its key: it locks nothing."""
    oldest = Command.objects.order_by("id").values_list("created_at", flat=True).first()
    return None if oldest is None else round(max(0.0, (timezone.now() - oldest).total_seconds()), 3)


def _last_audit() -> LastAudit | None:
    """How many findings, and not which: those are for staff. None for an audit that could not run."""
    run = last_run()
    if run is None:
        return None
    findings = None if run.outcome == Outcome.NOT_RUN else run.found
    return {"mode": run.mode.lower(), "at": timestamp(run.started_at), "findings": findings}


def _redis() -> Literal["ok", "away"]:
    try:
        with breaker_of(settings.REDIS_URL).calling(), redis_client(settings.REDIS_URL) as client:
            client.ping()
    except (ServerAway, redis.RedisError):
        return AWAY
    return OK
