"""One call of the API in one declaration at its view: what it takes, what it answers, and what it may refuse."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Annotated, Any, TypeVar, cast

from django.contrib.auth.models import AnonymousUser
from drf_spectacular.openapi import AutoSchema
from rest_framework.request import Request

from base.web import errors
from base.web.exports import MEDIA_TYPE as CSV
from base.web.exports import Export
from base.web.exposure import lets_in
from base.web.forms import Form
from base.web.keys.errors import OF_SIGNED_REQUESTS
from base.web.keys.scopes import OWNER, PUBLIC, Needed, admit
from base.web.openapi.refusals import Refused
from base.web.queries import CURSOR, FORMAT, TEXT, TICKET_PARAMETER, Parameters, Query, keep_parameters, limit
from base.web.values import AS_OF, Instant, Schema, described

BEARER, TICKET, SESSION = "bearer", "ticket", "session"
# A signed request has the headers of all three.
API_KEY, KEY_TIMESTAMP, KEY_SIGNATURE = "apiKey", "keyTimestamp", "keySignature"
# Where an operation keeps its refusals until the description is finished.
REFUSALS = "x-refusals"
JSON = "application/json"
NOBODY: list[dict[str, list[str]]] = [{}]
# What any call under /api/v1 may answer.
_ALWAYS: tuple[Refused, ...] = (
    *(errors.TooManyRequests, errors.PathTooLong, errors.HeadTooLarge, errors.ExchangeError, errors.Unavailable),
    errors.McpNotAllowed,
    *("PARAMETER_UNKNOWN", "VALIDATION_FAILED"),
)
_BODY: tuple[Refused, ...] = (
    *(errors.MalformedBody, errors.BodyTooLarge, errors.UnsupportedMediaType),
    *(errors.RequestTimeout, errors.LengthRequired),
    *("FIELD_REQUIRED", "FIELD_UNKNOWN"),
)
_REPLAYED: Schema = {
    "Idempotent-Replayed": {
        "schema": {"const": "true"},
        "description": "There if it was done before under the same key: nothing was done again.",
    }
}
_Cursor = Annotated[str | None, described("Hand it back as `cursor`; null on the last page.")]
H = TypeVar("H", bound=Callable[..., Any])


@dataclass(frozen=True)
class Call:
    """Declares the method of a view that it decorates. `data` is the type of what the envelope holds, None for one
    without a body; `body` is the form that is read. `scope` is what a key needs to call it: a call that does not say so
    takes no key. Who may call follows from the view; parameters of the path, with their refusals, from the path.
    """

    tag: str
    id: str
    summary: str
    data: Any
    scope: Needed | None = None
    text: str = ""
    status: int = 200
    # What is answered with another status in its place, by that status; whether with what it includes.
    instead: Mapping[int, Any] = field(default_factory=dict)
    instead_as_of: bool = False
    query: tuple[Query, ...] = ()
    body: type[Form] | None = None
    examples: Mapping[str, dict[str, Any]] | None = None
    paged: bool = False
    as_of: bool = False
    csv: Export | None = None
    replayable: bool = False
    refusals: tuple[Refused, ...] = ()

    def __call__(self, handler: H) -> H:
        """The handler, which is called once the query string was read by what is declared."""
        declared = Parameters(self.parameters)

        @functools.wraps(handler)
        def read(view: Any, request: Request, *args: Any, **kwargs: Any) -> Any:
            key = getattr(request.user, "key", None)
            if key is not None:
                admit(key.scopes, self.scope)
            keep_parameters(request, declared.read(request.query_params))
            return handler(view, request, *args, **kwargs)

        read.call = self  # type: ignore[attr-defined]
        return cast(H, read)

    def _instead(self) -> Schema:
        return {
            str(status): answered(self.summary, JSON, _envelope(data, status, False, self.instead_as_of))
            | ({"headers": _REPLAYED} if self.replayable else {})
            for status, data in self.instead.items()
        }

    @property
    def parameters(self) -> tuple[Query, ...]:
        query = self.query if self.csv is None else (*self.query, FORMAT)
        return (*query, limit(), CURSOR) if self.paged else query

    def operation(self, security: list[Any], callers: tuple[Refused, ...]) -> Schema:
        """The call for callers who sign in by `security`, others being refused as in `callers`."""
        refused = [errors.MalformedRequest, errors.NotAcceptable, *_ALWAYS, *callers, *self.refusals]
        refused += _query_refusals(self.parameters)
        body = {}
        if self.body is not None:
            refused += [*_BODY, *self.body.codes()]
            examples = {name: {"value": example} for name, example in (self.examples or {}).items()}
            is_required = any(field.is_required() for field in self.body.model_fields.values())
            content = {JSON: {"schema": self.body, "examples": examples}}
            body = {"requestBody": {"content": content, "required": is_required}}
        answer = _answered(self)
        if self.replayable:
            answer["headers"] = _REPLAYED
        return operation(
            self.tag,
            self.id,
            self.summary,
            {str(self.status): answer, **self._instead()},
            refused,
            text=self.text,
            parameters=[each.parameter() for each in self.parameters],
            security=security,
            **body,
        )


class CallSchema(AutoSchema):
    """What drf-spectacular reads of a view's method: its Call. A method without one is not described."""

    def get_operation(self, *arguments: Any) -> Any:
        method = arguments[3]
        call = getattr(getattr(self.view, method.lower()), "call", None)
        return None if call is None else call.operation(*_callers(self.view, method, call.scope))


def _query_refusals(query: Sequence[Query]) -> list[Refused]:
    return [refusal for each in query for refusal in (*each.codes, "PARAMETER_REPEATED")]


def _answered(call: Call) -> Schema:
    """The response of the call. Where there is nothing to say, it has no body."""
    if call.data is None:
        return {"description": call.summary, "content": {}}
    envelope = _envelope(call.data, call.status, call.paged, call.as_of)
    response = answered(call.summary, JSON, envelope)
    if call.csv is not None:
        response["content"][CSV] = {"schema": TEXT}
    return response


def _callers(view: Any, method: str, scope: Needed | None) -> tuple[list[Any], tuple[Refused, ...]]:
    """How callers sign in, and how others are refused: as the view's own permissions let them in."""
    if not view.authentication_classes:
        return NOBODY, ()
    ways = [{BEARER: []}, *([] if scope in (None, OWNER) else [signed_by_key(scope)])]
    # Whoever brings a token or signs by a key must do so rightly, also where nobody has to.
    refused = (errors.NotAuthenticated, *OF_SIGNED_REQUESTS)
    if lets_in(view, method, AnonymousUser()):
        return [*ways, {}], refused
    if lets_in(view, method, SimpleNamespace(is_authenticated=True, is_staff=False)):
        return ways, refused
    clerk = SimpleNamespace(is_authenticated=True, is_staff=True, has_perm=lambda _: False)
    more = () if lets_in(view, method, clerk) else (errors.PermissionRequired,)
    return ways, (*refused, errors.StaffOnly, *more)


def signed_by_key(scope: Needed | None) -> dict[str, list[str]]:
    """A request that is signed by a key with the scope."""
    roles = [] if scope in (None, PUBLIC) else [scope.value]
    return {API_KEY: roles, KEY_TIMESTAMP: [], KEY_SIGNATURE: []}


def operation(
    tag: str,
    name: str,
    summary: str,
    answers: Schema,
    refusals: Iterable[Refused] = (),
    *,
    text: str = "",
    security: list[Any] = NOBODY,
    **more: Any,
) -> Schema:
    """An operation of the description; `answers` by status."""
    described = {"operationId": name, "tags": [tag], "summary": summary, "description": text or summary}
    return {**described, "security": security, "responses": answers, REFUSALS: refusals, **more}


def answered(meaning: str, media_type: str, schema: Any) -> Schema:
    """A response of the description."""
    return {"description": meaning, "content": {media_type: {"schema": schema}}}


def _envelope(data: Any, status: int, is_paged: bool, has_as_of: bool) -> Schema:
    """An answer as all of them look; a page of a list has its cursor beside the data."""
    beside = {**({"asOf": AS_OF} if has_as_of else {}), **({"nextCursor": _Cursor} if is_paged else {})}
    fields = {"code": {"const": status}, "message": TEXT, "data": data, **beside, "timestamp": Instant}
    return {"type": "object", "required": list(fields), "properties": fields}


def stream(
    name: str,
    summary: str,
    events: Sequence[Any],
    refusals: Iterable[Refused] = (),
    query: Sequence[Query] = (),
    headers: Sequence[Schema] = (),
    **more: Any,
) -> Schema:
    """The operation of a stream of server-sent events, each one of `events`."""
    meaning = "Server-sent events without end; each is one of these, `data` being JSON."
    answers = {"200": answered(meaning, "text/event-stream", {"oneOf": events})}
    refused = (*refusals, *_ALWAYS, *_query_refusals(query))
    # A ticket is described as a way to sign in.
    described = [each.parameter() for each in query if each is not TICKET_PARAMETER]
    return operation("streams", name, summary, answers, refused, parameters=[*headers, *described], **more)
