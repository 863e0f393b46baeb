"""One call of the API in one declaration: what it takes, what it answers, and what it may refuse."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from base.web import errors
from base.web.forms import Form
from base.web.openapi.fields import form_codes
from base.web.openapi.refusals import MEANINGS, Refusal, codes_by_status, refusal_responses, refusal_schema
from base.web.openapi.shapes import ID, TEXT, Schema, Shape, envelope
from base.web.pages import DEFAULT_LIMIT, MOST

BEARER, TICKET, SESSION = "bearer", "ticket", "session"


class Who(StrEnum):
    """Whose call it is. ANYBODY may bring a token, which must be a good one then; NOBODY is asked for one."""

    NOBODY = "nobody"
    ANYBODY = "anybody"
    USER = "user"
    STAFF = "staff"


SECURITY: dict[Who, list[dict[str, list[str]]]] = {
    Who.NOBODY: [{}],
    Who.ANYBODY: [{BEARER: []}, {}],
    Who.USER: [{BEARER: []}],
    Who.STAFF: [{BEARER: []}],
}
_REFUSED: dict[Who, tuple[Refusal, ...]] = {
    Who.NOBODY: (),
    Who.ANYBODY: (errors.NotAuthenticated,),
    Who.USER: (errors.NotAuthenticated,),
    Who.STAFF: (errors.NotAuthenticated, errors.StaffOnly),
}
# What any call under /api/v1 may be told.
_ALWAYS: tuple[Refusal, ...] = (
    errors.MalformedRequest,
    errors.NotAcceptable,
    errors.TooManyRequests,
    errors.ExchangeError,
    errors.Unavailable,
)
_BODY: tuple[Refusal, ...] = (errors.MalformedBody, errors.BodyTooLarge, errors.UnsupportedMediaType)


@dataclass(frozen=True, slots=True)
class Query:
    """A parameter of the query string, with what is answered if it is no good."""

    name: str
    schema: Schema | Shape
    text: str
    refusals: tuple[Refusal, ...] = ()
    deprecated: bool = False

    def parameter(self) -> OpenApiParameter:
        # drf-spectacular takes any dictionary for a schema.
        schema: Any = {"allOf": [self.schema]} if isinstance(self.schema, Shape) else dict(self.schema)
        return OpenApiParameter(self.name, schema, "query", description=self.text, deprecated=self.deprecated)


CURSOR = Query("cursor", TEXT, "The `nextCursor` of the page before.", ("INVALID_CURSOR",))
OLD_USER_ID = Query(
    "userId",
    ID,
    "Older clients send it: the caller's own, or for staff anybody's.",
    (errors.NotYourAccount, errors.UserNotFound),
    deprecated=True,
)


def limit(default: int = DEFAULT_LIMIT, most: int = MOST) -> Query:
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return Query("limit", schema, "At most so many.", ("LIMIT_OUT_OF_RANGE",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One method of one path. `path` describes what stands in the path, by Django's names; `data` is what the envelope
    holds; `body` is the form that is read.
    """

    id: str
    tag: str
    summary: str
    text: str = ""
    who: Who = Who.USER
    path: Mapping[str, Schema] | None = None
    query: tuple[Query, ...] = ()
    body: type[Form] | None = None
    examples: Mapping[str, dict[str, Any]] | None = None
    data: Schema | Shape
    status: int = 200
    paged: bool = False
    replayable: bool = False
    refusals: tuple[Refusal, ...] = ()

    def all_refusals(self) -> Iterable[Refusal]:
        yield from (*self.refusals, *_REFUSED[self.who], *_ALWAYS)
        for each in self.queries():
            yield from each.refusals
        if self.body is not None:
            yield from (*_BODY, *form_codes(self.body))

    def queries(self) -> tuple[Query, ...]:
        return (*self.query, limit(), CURSOR) if self.paged else self.query


def describe(call: Call) -> Callable[[Any], Any]:
    """The declaration for drf-spectacular's `extend_schema_view`."""
    return extend_schema(
        operation_id=call.id,
        tags=[call.tag],
        summary=call.summary,
        description=call.text or call.summary,
        auth=SECURITY[call.who],  # type: ignore[arg-type]
        parameters=_parameters(call),
        request=call.body,
        responses=_responses(call),
        examples=[
            OpenApiExample(name, value=value, request_only=True) for name, value in (call.examples or {}).items()
        ],
    )


def _parameters(call: Call) -> list[Any]:
    parameters = [each.parameter() for each in call.queries()]
    for name, schema in (call.path or {}).items():
        parameters.append(OpenApiParameter(name, dict(schema), "path", required=True))
    if call.replayable:
        parameters.append(
            OpenApiParameter(
                "Idempotent-Replayed",
                {"const": "true"},
                "header",
                description="There if it was done before under the same key: nothing was done again.",
                response=[call.status],
            )
        )
    return parameters


def _responses(call: Call) -> dict[Any, OpenApiResponse]:
    answer = envelope(call.data, status=call.status, paged=call.paged)
    responses = {call.status: OpenApiResponse(answer, description=call.summary)}
    for status, codes in codes_by_status(call.all_refusals()).items():
        responses[status] = OpenApiResponse(refusal_schema(status, codes), description=MEANINGS[status])
    return responses


def parameter(query: Query) -> dict[str, Any]:
    """The same in an operation that is written by hand."""
    deprecated = {"deprecated": True} if query.deprecated else {}
    return {"in": "query", "name": query.name, "schema": query.schema, "description": query.text, **deprecated}


def path_parameter(name: str, schema: Schema) -> dict[str, Any]:
    return {"in": "path", "name": name, "schema": schema, "required": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One kind of server-sent event: `data` is the JSON in its data lines, `id` what its id line holds, if any."""

    name: str
    text: str
    data: Schema | Shape
    id: Schema | None = None
    always_with_id: bool = False

    def shape(self, title: str) -> Shape:
        fields: dict[str, Any] = {"event": {"const": self.name}, "data": self.data}
        required = ["event", "data"]
        if self.id is not None:
            fields["id"] = self.id
            required += ["id"] if self.always_with_id else []
        schema = {"type": "object", "description": self.text, "required": required, "properties": fields}
        return Shape(title, schema)


def stream(
    *,
    name: str,
    summary: str,
    text: str,
    security: list[Any],
    parameters: list[Any],
    events: list[Shape],
    refusals: tuple[Refusal, ...],
) -> dict[str, Any]:
    """The operation of a stream of server-sent events, each one of `events`."""
    return {
        "operationId": name,
        "tags": ["streams"],
        "summary": summary,
        "description": text,
        "parameters": parameters,
        "security": security,
        "responses": {
            "200": {
                "description": "Server-sent events without end; each is one of these, `data` being JSON.",
                "content": {"text/event-stream": {"schema": {"oneOf": events}}},
            },
            **refusal_responses((*refusals, errors.TooManyRequests, errors.ExchangeError, errors.Unavailable)),
        },
    }
