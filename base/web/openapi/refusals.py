"""Refusals in the description: how they look, and which codes a call may answer, by status."""

from collections.abc import Iterable
from typing import Annotated, Any, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from base.web.errors import ExchangeError, InvalidField
from base.web.values import Instant, Schema, described

# A class of base.web.errors, or the code of a rule of one field.
Refused = type[ExchangeError] | str
ErrorStatus = Annotated[int, Field(ge=400, le=599, description="The HTTP status.")]
ErrorCode = Annotated[str, described("Names the rule that was broken.")]


@with_config(extra="allow")
class FieldError(TypedDict):
    """One rule that one field breaks."""

    field: str
    error: str
    message: str


@with_config(extra="allow")
class RefusalData(TypedDict):
    """The values that broke the rule; which they are depends on the code."""

    field: NotRequired[Annotated[str, described("The field that breaks the rule, as it was sent.")]]
    errors: NotRequired[Annotated[list[FieldError], described("With VALIDATION_FAILED: each rule that is broken.")]]


class Refusal(TypedDict):
    """What every refusal looks like."""

    code: ErrorStatus
    error: ErrorCode
    message: str
    data: RefusalData
    timestamp: Instant


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


def refusal_responses(refusals: Iterable[Refused]) -> Schema:
    """The responses of these refusals, each status with its own codes."""
    found: dict[int, set[str]] = {}
    for refusal in refusals:
        status, code = (InvalidField.status, refusal) if isinstance(refusal, str) else (refusal.status, refusal.code)
        found.setdefault(status, set()).add(code)
    return {str(status): _response(status, codes) for status, codes in sorted(found.items())}


def _response(status: int, codes: Iterable[str]) -> Schema:
    words: dict[str, Any] = {"code": {"const": status}, "error": {"enum": sorted(codes)}}
    schema = {"allOf": [Refusal, {"properties": words}]}
    return {"description": MEANINGS[status], "content": {"application/json": {"schema": schema}}}
