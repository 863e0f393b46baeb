"""Public market data in the formats of other systems: what their calls share.

Nobody signs in, there is no envelope, and parameters that a call does not know are left alone, because programs that
were written for these formats send more than a server needs. What is read is what the native calls read.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.http import QueryDict
from pydantic import ConfigDict
from pydantic_core import PydanticCustomError, core_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from base.web.answers import answer_error, as_refusal
from base.web.dialects import in_words_of
from base.web.errors import InvalidField
from base.web.forms import Form
from base.web.queries import TEXT, Parameters, Query
from base.web.rules import Rule
from base.web.values import parse_id
from markets.models import Market
from markets.services import known_market

# Seconds since 1970 up to the year 2100.
MOST_SECONDS = 4_102_444_800
# A symbol has at most 33 characters; one with the exchange's name before it is longer.
LONGEST_TEXT = 64


class _AsSent(Form):
    """Its fields are named as they are sent, in whatever case."""

    model_config = ConfigDict(alias_generator=None)


class FormatView(APIView):
    """A GET with the parameters in `queries`. The description of the API leaves it out: the format has its own."""

    authentication_classes: ClassVar[list[Any]] = []  # type: ignore[misc]
    permission_classes = [AllowAny]
    schema = None
    queries: ClassVar[tuple[Query, ...]] = ()
    _parameters: ClassVar[Parameters]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._parameters = Parameters(cls.queries, _AsSent)

    def get_exception_handler(self) -> Callable[[Exception, Any], Response | None]:
        return _answer_error

    def asked(self, request: Request) -> Mapping[str, Any]:
        """The values of the call's parameters. Raises InvalidField and ValidationFailed."""
        own = QueryDict(mutable=True)
        for query in self.queries:
            if query.name in request.query_params:
                own.setlist(query.name, request.query_params.getlist(query.name))
        return self._parameters.read(own)


def _answer_error(error: Exception, context: Any) -> Response | None:
    """A refusal as the format has it."""
    refusal = as_refusal(error)
    return None if refusal is None else answer_error(in_words_of(context["request"].path_info, refusal), context)


def required(asked: Mapping[str, Any], name: str) -> Any:
    """Raises InvalidField."""
    if asked[name] in (None, ""):
        raise InvalidField(name, "FIELD_REQUIRED", f"{name} is required")
    return asked[name]


def named_market(asked: Mapping[str, Any], name: str) -> Market:
    """The market that this parameter names. Raises InvalidField and MarketNotFound."""
    return known_market(required(asked, name))


def whole_number(most: int, *, reads_negative: bool = False) -> Rule:
    """Zero or more, in digits. `reads_negative`: what is below zero is read as zero."""

    def read(digits: str) -> int:
        is_below = reads_negative and digits.startswith("-") and parse_id(digits[1:]) is not None
        number = 0 if is_below or digits == "0" else parse_id(digits)
        if number is None or number > most:
            raise PydanticCustomError("no_number", "no number")
        return number

    return Rule(
        core_schema.no_info_plain_validator_function(read),
        {"no_number": ("OUT_OF_RANGE", f"must be a whole number from 0 to {most}")},
        {"type": "integer", "minimum": 0, "maximum": most},
    )


WORDS = Rule(
    core_schema.str_schema(max_length=LONGEST_TEXT),
    {"string_too_long": ("TOO_LONG", f"must have at most {LONGEST_TEXT} characters")},
    TEXT,
)
