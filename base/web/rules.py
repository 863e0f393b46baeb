"""The rules that the fields of forms follow, for pydantic and for the API's description alike."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from base.web.values import ID, matching, parse_id

# The code of a refusal and its words.
Refusal = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """What one field must be. It stands in the field's annotation, where pydantic reads it in place of the type.

    `refusals` by pydantic's type of error, or by one of the rule's own; `data` are the values that they name. The JSON
    Schema is derived from `check`, unless it is given here, or what it is derived from.
    """

    check: CoreSchema
    refusals: Mapping[str, Refusal]
    schema: Mapping[str, Any] | None = None
    described_by: CoreSchema | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> CoreSchema:
        return self.check

    def __get_pydantic_json_schema__(self, check: CoreSchema, handler: Any) -> dict[str, Any]:
        return dict(self.schema or handler(self.described_by or check))


_UNSIGNED = r"[0-9]{1,12}(\.[0-9]{1,8})?"
_NO_NUMBER = ("DECIMAL_STRING_REQUIRED", 'must be a string such as "0.25"; JSON numbers are refused for money')
_NO_DECIMAL = (
    "INVALID_DECIMAL",
    "must be plain digits, at most 12 before the point and 8 after it, with no exponent",
)


def _decimal(sign: Refusal, *, zero: bool = False, minus: bool = False) -> Rule:
    """A string of plain ASCII digits; whether it may be zero, or less."""

    def read(digits: str) -> Decimal:
        # Zero has no sign.
        value = Decimal(digits) + 0
        if (not value and not zero) or (digits[0] == "-" and not minus):
            raise PydanticCustomError("sign", "the sign is wrong")
        return value

    # Any minus is read, because a wrong sign has a code of its own.
    text = core_schema.str_schema(strict=True, pattern=f"^-?{_UNSIGNED}$")
    schema = matching(f"-?{_UNSIGNED}" if minus else _UNSIGNED, examples=["0.25"])
    if not zero:
        # A second pattern, because many tools know no lookahead.
        schema["not"] = {"pattern": "^-?[0.]+$"}
    refusals = {"string_type": _NO_NUMBER, "sign": sign}
    refusals |= dict.fromkeys(("string_unicode", "string_pattern_mismatch"), _NO_DECIMAL)
    return Rule(core_schema.no_info_after_validator_function(read, text), refusals, schema)


POSITIVE = _decimal(("MUST_BE_POSITIVE", "must be greater than zero"))
NOT_NEGATIVE = _decimal(("MUST_NOT_BE_NEGATIVE", "must not be negative"), zero=True)
NOT_ZERO = _decimal(("MUST_NOT_BE_ZERO", "must not be zero"), minus=True)
ANY_NUMBER = _decimal(_NO_DECIMAL, minus=True, zero=True)


def or_null(rule: Rule) -> Rule:
    """The same, or null."""
    schema = None if rule.schema is None else {"anyOf": [rule.schema, {"type": "null"}]}
    return Rule(core_schema.nullable_schema(rule.check), rule.refusals, schema)


def amounts_by(pattern: str, most: int) -> Rule:
    """An object of so many amounts at most, none of them negative, each by a name that matches as a whole; or null."""

    def read(given: Any) -> dict[str, Any]:
        if not isinstance(given, dict):
            raise PydanticCustomError("no_object", "no object")
        if len(given) > most:
            raise PydanticCustomError("too_many", "too many")
        if not all(re.fullmatch(pattern, name) for name in given):
            raise PydanticCustomError("bad_name", "a name that is none")
        return given

    amounts = core_schema.dict_schema(core_schema.str_schema(), NOT_NEGATIVE.check)
    check = core_schema.nullable_schema(core_schema.no_info_before_validator_function(read, amounts))
    refusals = {
        **NOT_NEGATIVE.refusals,
        "no_object": ("OBJECT_REQUIRED", "must be an object"),
        "too_many": ("LIST_TOO_LONG", f"must have at most {most} items"),
        "bad_name": ("INVALID_FORMAT", f"must have names that match {pattern}"),
    }
    schema = {"type": "object", "additionalProperties": NOT_NEGATIVE.schema, "propertyNames": matching(pattern)}
    return Rule(check, refusals, {"anyOf": [schema | {"maxProperties": most}, {"type": "null"}]})


def texts(pattern: str, limit: int, most: int) -> Rule:
    """A list of so many texts at most, each of which matches as a whole; or null."""
    each, refusals = _text(limit, f"^(?:{pattern})$", ("INVALID_FORMAT", f"must match {pattern}"))
    refusals |= {
        "list_type": ("LIST_REQUIRED", "must be a list"),
        "too_long": ("LIST_TOO_LONG", f"must have at most {most} items"),
    }
    return Rule(core_schema.nullable_schema(core_schema.list_schema(each, strict=True, max_length=most)), refusals)


def _text(limit: int, pattern: str, mismatch: Refusal) -> tuple[CoreSchema, dict[str, Refusal]]:
    refusals = {
        "string_type": ("STRING_REQUIRED", "must be a string"),
        "string_too_long": ("TOO_LONG", f"must have at most {limit} characters"),
        "string_pattern_mismatch": mismatch,
    }
    refusals |= dict.fromkeys(("string_unicode", "unprintable"), ("INVALID_FORMAT", "must be of printable characters"))
    return core_schema.str_schema(strict=True, max_length=limit, pattern=pattern), refusals


def text(pattern: str, limit: int, *, null: bool = False) -> Rule:
    """A string that matches a pattern as a whole."""
    check, refusals = _text(limit, f"^(?:{pattern})$", ("INVALID_FORMAT", in_words(pattern)))
    return Rule(core_schema.nullable_schema(check) if null else check, refusals)


def in_words(pattern: str) -> str:
    """What a pattern asks for, if it is so many characters of some kinds; any other pattern itself."""
    shape = re.fullmatch(r"(?:\[(?P<first>[^]]+)\])?\[(?P<kinds>[^]]+)\]\{(?P<least>\d+),(?P<most>\d+)\}", pattern)
    if shape is None:
        return f"must match {pattern}"
    first, least, most = shape["first"], int(shape["least"]), int(shape["most"])
    beginning = f", and begin with one of {_kinds(first)}" if first else ""
    more = 1 if first else 0
    return f"must be {least + more} to {most + more} characters of {_kinds(shape['kinds'])}{beginning}"


def _kinds(characters: str) -> str:
    """The ranges and characters of a class, each by itself."""
    return " ".join(re.findall(r".-(?!$).|.", characters))


def line(limit: int, pattern: str = r"\S", mismatch: Refusal = ("BLANK", "must not be blank")) -> Rule:
    """A printable string that matches a pattern, or is at least not blank."""
    check, refusals = _text(limit, pattern, mismatch)
    return Rule(core_schema.no_info_after_validator_function(_printable, check), refusals)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise PydanticCustomError("unprintable", "not printable")
    return text


def _composed(text: str) -> str:
    """One address is written in one way: what looks the same by Unicode's own rules is the same."""
    if unicodedata.normalize("NFKC", text) != text:
        raise PydanticCustomError("unprintable", "not composed")
    return text


_EMAIL = r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*"
_ADDRESS = line(254, f"^{_EMAIL}$", ("INVALID_FORMAT", "must be an address such as name@example.com"))
EMAIL = replace(_ADDRESS, check=core_schema.no_info_after_validator_function(_composed, _ADDRESS.check))


def one_of(words: Iterable[Enum]) -> Rule:
    """One of a few words, spelled exactly so."""
    known = [word.value for word in words]
    refusal = ("INVALID_CHOICE", f"must be one of {', '.join(known)}")
    return Rule(core_schema.literal_schema(known), {"literal_error": refusal, "string_unicode": refusal})


def whole(least: int, most: int) -> Rule:
    """A whole number, as a JSON number."""
    beyond = ("OUT_OF_RANGE", f"must be between {least} and {most}")
    refusals = {"int_type": ("INTEGER_REQUIRED", "must be a whole number"), "int_parsing_size": beyond}
    refusals |= dict.fromkeys(("greater_than_equal", "less_than_equal"), beyond)
    return Rule(core_schema.int_schema(strict=True, ge=least, le=most), refusals)


FLAG = Rule(core_schema.bool_schema(strict=True), {"bool_type": ("BOOLEAN_REQUIRED", "must be true or false")})


def _read_id(data: Any) -> int:
    number = parse_id(data) if isinstance(data, str | int) and not isinstance(data, bool) else None
    if number is None:
        raise PydanticCustomError("no_id", "not an id")
    return number


# An id, as the number or the string of digits that it is known by.
IDENTIFIER = Rule(
    core_schema.no_info_plain_validator_function(_read_id),
    {"no_id": ("INVALID_ID", "must be an id")},
    {"anyOf": [ID, matching("[0-9]{1,19}", examples=["17"])]},
)


def ids(most: int) -> Rule:
    """A list of so many ids at most; or null."""
    each = core_schema.list_schema(IDENTIFIER.check, strict=True, max_length=most)
    refusals = {
        **IDENTIFIER.refusals,
        "list_type": ("LIST_REQUIRED", "must be a list"),
        "too_long": ("LIST_TOO_LONG", f"must have at most {most} items"),
    }
    schema = {"type": "array", "items": IDENTIFIER.schema, "maxItems": most}
    return Rule(core_schema.nullable_schema(each), refusals, {"anyOf": [schema, {"type": "null"}]})


def items(limit: int, form: type[BaseModel]) -> Rule:
    """A list of so many items at most; each is read by whoever takes them, by the form that is named here."""
    limits: dict[str, Any] = {"strict": True, "min_length": 1, "max_length": limit}
    refusals = {
        "list_type": ("LIST_REQUIRED", "must be a list"),
        "too_short": ("LIST_EMPTY", "must not be empty"),
        "too_long": ("LIST_TOO_LONG", f"must have at most {limit} items"),
    }
    described_by = core_schema.list_schema(form.__pydantic_core_schema__, **limits)
    return Rule(core_schema.list_schema(**limits), refusals, described_by=described_by)
