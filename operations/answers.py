"""What a load balancer is answered about the health of a process."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema, with_config
from typing_extensions import TypedDict

from audit.models import Mode
from base.web.values import Count, Instant, described


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
    workers: Annotated[dict[str, Count] | None, described("How many serve each market that is not halted.")]
    lastAudit: Annotated[LastAudit | None, described("Null before the first.")]
