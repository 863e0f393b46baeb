"""What a load balancer or a supervisor asks: is the process alive, and can it do its work? No one need sign in."""

import os
import time
from typing import Annotated, Final, Literal

import redis
from django.conf import settings
from django.db import Error, OperationalError, connection
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from pydantic import Field, WithJsonSchema, with_config
from typing_extensions import TypedDict

from audit.models import Mode, Outcome
from audit.run import last_run
from base.storage.breakers import ServerAway, breaker_of
from base.storage.outages import is_read_only
from base.storage.redis import redis_client
from base.streams.threads import Shared
from base.web.errors import timestamp
from base.web.values import Count, Instant, described
from commands.models import Command
from core.types import MarketStatus
from markets.services import listed_markets
from matching.worker.heartbeat import live_beats, live_workers

OK: Final = "ok"
AWAY: Final = "away"
READ_ONLY: Final = "read-only"


class Liveness(TypedDict):
    status: Literal["ok"]


@with_config(extra="ignore")
class LastAudit(TypedDict):
    """What the newest audit found."""

    mode: Annotated[str, WithJsonSchema({"type": "string", "enum": [mode.lower() for mode in Mode.values]})]
    at: Instant
    findings: Annotated[Count | None, described("Null for an audit that could not run.")]


@with_config(extra="allow")
class Readiness(TypedDict):
    """Whether the process can do its work, and what it needs for it."""

    status: Literal["ok", "degraded", "unavailable"]
    database: Annotated[Literal["ok", "away", "read-only"], described("Where it is not ok, the answer is 503.")]
    redis: Literal["ok", "away"]
    oldestCommandSeconds: Annotated[
        Annotated[float, Field(ge=0)] | None, described("How long the first command of all inboxes has been waiting.")
    ]
    workers: Annotated[dict[str, Count] | None, described("How many serve each market that is not halted or delisted.")]
    beats: Annotated[Count | None, described("How many processes send what is scheduled: one, if all is well.")]
    lastAudit: Annotated[LastAudit | None, described("Null before the first.")]


@require_safe
def live(_: HttpRequest) -> JsonResponse:
    """The process answers. Nothing else is checked: a restart would not help against a database that is away."""
    alive: Liveness = {"status": OK}
    return JsonResponse(alive)


@require_safe
def ready(_: HttpRequest) -> JsonResponse:
    """503 without a database that takes writes. Redis may be away, because the workers' pollers match without it.

    Nor is a market without a worker, or a schedule that nobody sends, a reason to send orders elsewhere: they are
    stored here all the same. Those who ask at the same moment share a reading, because anybody may ask, and no limit
    counts them.
    """
    state = _readiness.read(time.monotonic())
    return JsonResponse(state, status=503 if state["database"] != OK else 200)


def _read_readiness() -> Readiness:
    state: Readiness = {
        "status": OK,
        "database": OK,
        "redis": _redis(),
        "oldestCommandSeconds": None,
        "workers": None,
        "beats": None,
        "lastAudit": None,
    }
    try:
        workers, beats = _workers(), live_beats()
        state |= {"oldestCommandSeconds": _oldest_command_seconds(), "workers": workers, "beats": beats}
        state["lastAudit"] = _last_audit()
        _refuse_read_only()
    except Error as error:
        state |= {"status": "unavailable", "database": READ_ONLY if is_read_only(error) else AWAY}
        return state
    if not all(workers.values()) or (settings.CELERY_BEAT_SCHEDULE and not beats):
        state["status"] = "degraded"
    return state


_readiness = Shared(_read_readiness)


def _refuse_read_only() -> None:
    """Raise the database's error where it takes no writes. Waits for no lock."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            # A write would wait for whoever writes, because SQLite locks its whole file.
            cursor.execute("PRAGMA query_only")
            (is_query_only,) = cursor.fetchone()
        if is_query_only or not os.access(connection.settings_dict["NAME"], os.W_OK):
            raise OperationalError("attempt to write a readonly database")
    else:
        # It changes no row and locks none.
        Command.objects.filter(pk=0).update(order_id=None)


def _workers() -> dict[str, int]:
    """How many serve each market that is not halted or delisted."""
    return live_workers(listed_markets().exclude(status=MarketStatus.HALTED).values_list("symbol", flat=True))


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
