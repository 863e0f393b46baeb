"""Refusals as the schema tells them: which codes a call may answer, by status."""

from collections.abc import Iterable
from typing import Any

from base.web.errors import ExchangeError, InvalidField
from base.web.openapi.shapes import INSTANT, TEXT, Schema, Shape, list_of, record

# A class of base.web.errors, or the code of a rule of one field.
Refusal = type[ExchangeError] | str

_ITEM = Shape(
    "FieldError",
    {
        **record({"field": TEXT, "error": TEXT, "message": TEXT}, text="One rule that one field breaks."),
        "additionalProperties": True,
    },
)
_DATA: Schema = {
    "type": "object",
    "description": "The values that broke the rule; which they are depends on the code.",
    "properties": {
        "field": {"type": "string", "description": "The field that breaks the rule, as it was sent."},
        "errors": list_of(_ITEM, "With VALIDATION_FAILED: each rule that is broken."),
    },
    "additionalProperties": True,
}
REFUSAL = Shape(
    "Refusal",
    record(
        {
            "code": {"type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status."},
            "error": {"type": "string", "description": "Names the rule that was broken."},
            "message": TEXT,
            "data": _DATA,
            "timestamp": INSTANT,
        },
        text="What every refusal looks like.",
    ),
)
REFUSED_ITEM = Shape(
    "RefusedOrder",
    record(
        {
            "code": {"type": "integer", "minimum": 400, "maximum": 599},
            "error": TEXT,
            "message": TEXT,
            "data": _DATA,
        },
        text="An order of a batch that was refused, with what the single call's answer would have held.",
    ),
)

MEANINGS = {
    400: "A rule is broken; nothing was done.",
    401: "Not signed in.",
    403: "Signed in, but not allowed to do this at all.",
    404: "Does not exist, or is somebody else's: the two look the same.",
    405: "The path does not take this method.",
    406: "Only the media types named here are answered.",
    409: "Conflicts with the state.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The same key with another body.",
    429: "Too many requests; come again after Retry-After.",
    500: "A defect, logged. Unknown, never failed: repeat with the same key.",
    503: "Try again with the same key after Retry-After. After MARKET_BUSY nothing was stored; else it is unknown.",
}


def codes_by_status(refusals: Iterable[Refusal]) -> dict[int, list[str]]:
    """The codes of the refusals, each status with its own."""
    found: dict[int, set[str]] = {}
    for refusal in refusals:
        status, code = (InvalidField.status, refusal) if isinstance(refusal, str) else (refusal.status, refusal.code)
        found.setdefault(status, set()).add(code)
    return {status: sorted(codes) for status, codes in sorted(found.items())}


def refusal_schema(status: int, codes: Iterable[str]) -> Schema:
    """A refusal with this status and one of these codes."""
    words: dict[str, Any] = {"code": {"const": status}, "error": {"enum": list(codes)}}
    return {"allOf": [REFUSAL, {"properties": words}]}


def refusal_responses(refusals: Iterable[Refusal]) -> dict[str, Any]:
    """The `responses` of an operation that is written by hand."""
    return {
        str(status): {
            "description": MEANINGS[status],
            "content": {"application/json": {"schema": refusal_schema(status, codes)}},
        }
        for status, codes in codes_by_status(refusals).items()
    }
