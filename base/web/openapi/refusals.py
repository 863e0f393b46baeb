"""Refusals in the description: how they look, and which codes a call may answer, by status."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, TypeAdapter, with_config
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import TypedDict

from base.web.errors import ExchangeError, InvalidField
from base.web.forms import Form
from base.web.refusal import MOST_ERRORS
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
    errors: NotRequired[
        Annotated[
            list[FieldError],
            Field(max_length=MOST_ERRORS),
            described("With VALIDATION_FAILED: each rule that is broken, or the first of them."),
        ]
    ]
    more: NotRequired[Annotated[int, Field(ge=1), described("With VALIDATION_FAILED: broken rules beside these.")]]


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
    408: "The body did not arrive in time.",
    409: "Conflicts with the state.",
    411: "The body came without its length.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    426: "The path is that of a WebSocket.",
    422: "The same key with another body.",
    429: "Too many requests; come again after Retry-After.",
    414: "The path is too long.",
    431: "The head is too large.",
    500: "A defect, logged. Unknown, never failed: repeat with the same key.",
    503: "Again with the same key after Retry-After. MARKET_BUSY, BATCHES_BUSY: nothing was stored; else unknown.",
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


REFERENCE = "#/components/schemas/{model}"


class _Schemas(GenerateJsonSchema):
    """Pydantic's own, without titles, and without defaults: a field that was not sent is not null."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])


def with_schemas(node: Any) -> tuple[Any, dict[str, Any]]:
    """The same with schemas in place of types, and the components that these refer to."""
    types: dict[int, Any] = {}
    _replace(node, lambda each: types.setdefault(id(each), each))
    adapters: list[Any] = [(key, _direction(each), TypeAdapter(each)) for key, each in types.items()]
    schemas, definitions = TypeAdapter.json_schemas(adapters, ref_template=REFERENCE, schema_generator=_Schemas)
    components = definitions.get("$defs", {})
    for component in components.values():
        component.pop("title", None)
    return _replace(node, lambda each: schemas[id(each), _direction(each)]), components


def _direction(kind: Any) -> Literal["validation", "serialization"]:
    return "validation" if isinstance(kind, type) and issubclass(kind, Form) else "serialization"


def _replace(node: Any, replacement: Callable[[Any], Any]) -> Any:
    if isinstance(node, dict):
        return {key: _replace(value, replacement) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_replace(value, replacement) for value in node]
    return node if node is None or isinstance(node, str | int | float) else replacement(node)
