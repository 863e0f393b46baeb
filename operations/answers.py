"""What a load balancer is answered about the health of a process."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from base.web.values import Count, Instant, described


class Liveness(TypedDict):
    """The process answers."""

    status: Literal["ok"]


class LastAudit(TypedDict):
    """What the newest audit found."""

    __pydantic_config__ = ConfigDict(extra="ignore")  # type: ignore[misc]
    mode: Literal["quick", "full", "replay"]
    at: Instant
    findings: Annotated[Count | None, described("Null for an audit that could not run.")]


class Readiness(TypedDict):
    """Whether the process can do its work, and what it needs for it."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    status: Literal["ok", "degraded", "unavailable"]
    database: Literal["ok", "away"]
    redis: Literal["ok", "away"]
    oldestCommandSeconds: Annotated[
        Annotated[float, Field(ge=0)] | None, described("How long the first command of all inboxes has been waiting.")
    ]
    workers: Annotated[dict[str, Count] | None, described("How many serve each market that is not halted.")]
    lastAudit: Annotated[LastAudit | None, described("Null before the first.")]
