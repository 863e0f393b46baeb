"""What a load balancer or a supervisor asks: is the process alive, and can it do its work? No one need sign in."""

from typing import Any

import redis
from django.db import Error
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from audit.models import Outcome
from audit.run import last_run
from base.storage.breakers import ServerAway, streams_breaker
from base.storage.redis import redis_options
from base.web.errors import timestamp
from commands.models import Command
from core.types import MarketStatus
from markets.models import Market
from matching.worker.heartbeat import live_workers

OK, AWAY, DEGRADED = "ok", "away", "degraded"


@require_safe
def live(_: HttpRequest) -> JsonResponse:
    """The process answers. Nothing else is asked: a restart would not help against a database that is away."""
    return JsonResponse({"status": OK})


@require_safe
def ready(_: HttpRequest) -> JsonResponse:
    """503 only without the database. Redis away is told and no more: matching goes on by the workers' lookout.

    Nor is a market without a worker a reason to send orders elsewhere: they are stored here all the same.
    """
    state: dict[str, Any] = {"status": OK, "database": OK, "redis": _redis()}
    try:
        workers = _workers()
        state |= {"oldestCommandSeconds": _oldest_command_seconds(), "workers": workers, "lastAudit": _last_audit()}
    except Error:
        unknown = {"oldestCommandSeconds": None, "workers": None, "lastAudit": None}
        return JsonResponse({**state, "status": "unavailable", "database": AWAY, **unknown}, status=503)
    return JsonResponse(state if all(workers.values()) else {**state, "status": DEGRADED})


def _workers() -> dict[str, int]:
    """How many serve each market that is not halted."""
    return live_workers(Market.objects.exclude(status=MarketStatus.HALTED).values_list("symbol", flat=True))


def _oldest_command_seconds() -> float | None:
    """How long the first command of all inboxes has been waiting; None if none waits. By its key: it locks nothing."""
    oldest = Command.objects.order_by("id").values_list("created_at", flat=True).first()
    return None if oldest is None else round(max(0.0, (timezone.now() - oldest).total_seconds()), 3)


def _last_audit() -> dict[str, Any] | None:
    """How many findings, and not which: those are for staff. None for an audit that could not run."""
    run = last_run()
    if run is None:
        return None
    findings = None if run.outcome == Outcome.NOT_RUN else run.found
    return {"mode": run.mode.lower(), "at": timestamp(run.started_at), "findings": findings}


def _redis() -> str:
    try:
        with streams_breaker().calling(), redis.Redis(**redis_options()) as client:
            client.ping()
    except (ServerAway, redis.RedisError):
        return AWAY
    return OK
