"""Parameters of query strings: each is declared at its call, and one that is not declared is refused.

The declaration is what the API's description shows and what a request is read by, so that the two are one fact.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from django.http import QueryDict
from pydantic import create_model
from pydantic_core import PydanticCustomError, core_schema
from rest_framework.request import Request

from base.web import errors
from base.web.errors import InvalidField, refuse
from base.web.forms import Form, printable
from base.web.openapi.refusals import Refused
from base.web.rules import Rule
from base.web.values import ID, Schema, parse_id

TEXT: Schema = {"type": "string"}
DEFAULT_LIMIT = 50
MOST = 500
# Nothing is from outside of these years, and the arithmetic of dates fails near the ends of the calendar.
FIRST_YEAR, LAST_YEAR = 2000, 2199
# Where a request keeps the parameters that were read; no header of a client's can have such a name.
_PARAMETERS = "exchange.parameters"
_ANY_TEXT = Rule(core_schema.str_schema(), {}, TEXT)


@dataclass(frozen=True)
class Query:
    """A parameter of the query string, with what is answered if it is no good.

    `schema` is the Rule by which it is read and described, or the type or schema of a text that the view reads itself.
    """

    name: str
    schema: Any
    text: str
    refusals: tuple[Refused, ...] = ()
    deprecated: bool = False
    default: Any = None

    @property
    def rule(self) -> Rule:
        return self.schema if isinstance(self.schema, Rule) else _ANY_TEXT

    @property
    def codes(self) -> tuple[Refused, ...]:
        return (*self.refusals, *(code for code, _ in self.rule.refusals.values()))

    def parameter(self) -> Schema:
        schema = Annotated[Any, self.schema] if isinstance(self.schema, Rule) else self.schema
        deprecated = {"deprecated": True} if self.deprecated else {}
        return {"in": "query", "name": self.name, "schema": schema, "description": self.text, **deprecated}


class Parameters:
    """Reads the query strings of one call."""

    def __init__(self, queries: Sequence[Query], base: type[Form] = Form) -> None:
        self._known = [query.name for query in queries]
        fields: dict[str, Any] = {_snake(query.name): (Annotated[Any, query.rule], query.default) for query in queries}
        self._form = create_model("Parameters", __base__=base, **fields)

    def read(self, query: QueryDict) -> Mapping[str, Any]:
        """The values of all that is declared, by name in snake_case. Raises InvalidField or ValidationFailed."""
        refuse_unknown([name for name, values in query.lists() for _ in values], self._known)
        return self._form.read(query.dict()).__dict__


def keep_parameters(request: Request, values: Mapping[str, Any]) -> None:
    """Keep with the request what was read of its query string."""
    request.META[_PARAMETERS] = values


def parameters(request: Request) -> Mapping[str, Any]:
    """The values of the parameters that the call declares: of one that was not sent its default, None mostly."""
    values: Mapping[str, Any] = request.META[_PARAMETERS]
    return values


def refuse_unknown(names: Iterable[str], known: Collection[str]) -> None:
    """Raise InvalidField or ValidationFailed for a name that is not known or comes twice: a slip of the pen must not
    answer another question than the one that was meant.
    """
    times = Counter(names)
    unknown = [_unknown(printable(name), known) for name in times if name not in known]
    refuse(unknown + [_repeated(name) for name in times if times[name] > 1 and name in known])


def _unknown(name: str, known: Collection[str]) -> InvalidField:
    words = f"it knows {', '.join(sorted(known))}" if known else "it has none"
    return InvalidField(name, "PARAMETER_UNKNOWN", f"{name} is not a parameter of this call: {words}")


def _repeated(name: str) -> InvalidField:
    return InvalidField(name, "PARAMETER_REPEATED", f"{name} comes more than once")


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()


def _page_size(default: int, most: int) -> Rule:
    def read(text: str) -> int:
        size = parse_id(text)
        if size is None or size > most:
            raise PydanticCustomError("no_size", "not a page size")
        return size

    return Rule(
        core_schema.no_info_plain_validator_function(read),
        {"no_size": ("LIMIT_OUT_OF_RANGE", f"must be between 1 and {most}")},
        {"type": "integer", "minimum": 1, "maximum": most, "default": default},
        data={"minimum": 1, "maximum": most},
    )


def _read_cursor(text: str) -> int:
    place = parse_id(text)
    if place is None:
        raise PydanticCustomError("no_cursor", "not a cursor")
    return place


def read_instant(text: str) -> datetime:
    """ISO 8601, or milliseconds since 1970. Raises PydanticCustomError."""
    milliseconds = parse_id(text)
    try:
        if milliseconds is not None:
            instant = datetime.fromtimestamp(milliseconds / 1000, UTC)
        else:
            instant = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as error:
        raise PydanticCustomError("no_time", "not a time") from error
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise PydanticCustomError("no_year", "too early or too late")
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


_CURSOR = Rule(
    core_schema.no_info_plain_validator_function(_read_cursor),
    {"no_cursor": ("INVALID_CURSOR", "must be the nextCursor of an earlier page")},
    TEXT,
)
INSTANT = Rule(
    core_schema.no_info_plain_validator_function(read_instant),
    {
        "no_time": ("INVALID_TIME", "must be ISO 8601 or milliseconds since 1970"),
        "no_year": ("INVALID_TIME", f"must lie between {FIRST_YEAR} and {LAST_YEAR}"),
    },
    TEXT,
)


def _read_instant_field(given: Any) -> datetime:
    if not isinstance(given, str | int) or isinstance(given, bool):
        raise PydanticCustomError("no_time", "not a time")
    return read_instant(str(given))


# Of a body: ISO 8601, or milliseconds since 1970 as a number or as digits.
INSTANT_FIELD = Rule(
    core_schema.no_info_plain_validator_function(_read_instant_field),
    dict.fromkeys(("no_time", "no_year"), ("INVALID_TIME", "must be ISO 8601 or milliseconds since 1970")),
    {"anyOf": [{"type": "string"}, {"type": "integer"}]},
)
_FORMATS = core_schema.literal_schema(["json", "csv"])
_FLAGS = core_schema.literal_schema(["true", "false"])
TRUE_OR_FALSE = Rule(
    core_schema.no_info_after_validator_function(lambda word: word == "true", _FLAGS),
    {"literal_error": ("INVALID_CHOICE", "must be true or false")},
    {"type": "string", "enum": ["true", "false"]},
)

WINDOW = (
    Query("startTime", INSTANT, "Those made at it or later. ISO 8601, or milliseconds since 1970."),
    Query("endTime", INSTANT, "Those made before it. ISO 8601, or milliseconds since 1970."),
)
FORMAT = Query(
    "format",
    Rule(_FORMATS, {"literal_error": ("INVALID_CHOICE", "must be json or csv")}),
    "`csv`, as `Accept: text/csv`: all rows, or `limit` of them, without an envelope.",
)
CURSOR = Query("cursor", _CURSOR, "The `nextCursor` of the page before.")
OLD_USER_ID = Query(
    "userId",
    ID,
    "Older clients send it: the caller's own, or anybody's for staff with the permission.",
    (errors.NotYourAccount, errors.PermissionRequired, errors.UserNotFound),
    deprecated=True,
)

# Of streams.
TICKET_PARAMETER = Query("ticket", TEXT, "A ticket opens one stream.")
LAST_EVENT_ID = Query("lastEventId", TEXT, "As the header Last-Event-ID, for pages that cannot set it.")


def limit(default: int = DEFAULT_LIMIT, most: int = MOST) -> Query:
    return Query("limit", _page_size(default, most), "At most so many.", default=default)
