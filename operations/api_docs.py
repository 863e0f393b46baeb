"""What operators and machines ask, as the API's description tells of it: health, and what is counted."""

from typing import Any

from audit.models import Mode
from base.web.openapi.shapes import COUNT, INSTANT, TEXT, Schema, Shape, nullable, record, word
from operations.health import AWAY, DEGRADED, OK

_LAST_AUDIT = record(
    {
        "mode": word(*(mode.lower() for mode in Mode.values)),
        "at": INSTANT,
        "findings": nullable(COUNT, "Null for an audit that could not run."),
    }
)
READINESS = Shape(
    "Readiness",
    {
        **record(
            {
                "status": word(OK, DEGRADED, "unavailable"),
                "database": word(OK, AWAY),
                "redis": word(OK, AWAY),
                "oldestCommandSeconds": nullable(
                    {"type": "number", "minimum": 0}, "How long the first command of all inboxes has been waiting."
                ),
                "workers": nullable(
                    {"type": "object", "additionalProperties": COUNT}, "How many serve each market that is not halted."
                ),
                "lastAudit": nullable(_LAST_AUDIT, "Null before the first."),
            }
        ),
        "additionalProperties": True,
    },
)


def _operation(name: str, summary: str, answers: dict[int, tuple[str, str, Schema | Shape]]) -> dict[str, Any]:
    """A GET for anybody, without the envelope; `answers` by status: what it means, its media type, its schema."""
    responses = {
        str(status): {"description": meaning, "content": {media_type: {"schema": schema}}}
        for status, (meaning, media_type, schema) in answers.items()
    }
    return {
        "get": {
            "operationId": name,
            "tags": ["operations"],
            "summary": summary,
            "security": [{}],
            "responses": responses,
        }
    }


JSON = "application/json"
LIVE = _operation(
    "isLive",
    "The process answers",
    {200: ("It does; nothing else was asked.", JSON, Shape("Liveness", record({"status": word(OK)})))},
)
READY = _operation(
    "isReady",
    "Whether the process can do its work",
    {
        200: ("It can. Redis away is told and no more: matching goes on without it.", JSON, READINESS),
        503: ("The database does not answer.", JSON, READINESS),
    },
)
METRICS = _operation(
    "readMetrics",
    "What is counted, for Prometheus alone: no proxy lets it out",
    {200: ("Metrics in Prometheus' text format.", "text/plain", TEXT)},
)
