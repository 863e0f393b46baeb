"""The rules that the fields of forms follow, for pydantic and for the API's description alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar

from pydantic import BaseModel
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from base.web.values import ID, matching, parse_id

_UNSIGNED = r"[0-9]{1,12}(\.[0-9]{1,8})?"


class Rule:
    """What one field must be. It stands in the field's annotation, where pydantic reads it in place of the type."""

    # The code and the words of each refusal, by pydantic's type of error or by one of the rule's own.
    refusals: ClassVar[Mapping[str, tuple[str, str]]]

    @property
    def codes(self) -> set[str]:
        return {code for code, _ in self.refusals.values()}

    def check(self) -> CoreSchema:
        """The rule in pydantic's words."""
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """The rule as JSON Schema."""
        raise NotImplementedError

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> CoreSchema:
        return self.check()

    def __get_pydantic_json_schema__(self, _check: CoreSchema, _handler: Any) -> dict[str, Any]:
        return self.schema()


@dataclass(frozen=True)
class DecimalText(Rule):
    """An amount, price or quantity: a string of plain ASCII digits, at most 12 before the point and 8 after it."""

    signed: bool = False
    zero: bool = False
    _digits = ("INVALID_DECIMAL", "must be plain digits, at most 12 before the point and 8 after it, with no exponent")
    refusals = {
        "string_type": (
            "DECIMAL_STRING_REQUIRED",
            'must be a string such as "0.25"; JSON numbers are refused for money',
        ),
        "string_unicode": _digits,
        "string_pattern_mismatch": _digits,
        "positive": ("MUST_BE_POSITIVE", "must be greater than zero"),
        "not_negative": ("MUST_NOT_BE_NEGATIVE", "must not be negative"),
        "not_zero": ("MUST_NOT_BE_ZERO", "must not be zero"),
    }

    @property
    def sign(self) -> str:
        """The rule about its sign, as `refusals` has it."""
        if self.signed:
            return "not_zero"
        return "not_negative" if self.zero else "positive"

    @property
    def codes(self) -> set[str]:
        others = {"positive", "not_negative", "not_zero"} - {self.sign}
        return {code for kind, (code, _) in self.refusals.items() if kind not in others}

    def check(self) -> CoreSchema:
        # Any minus is read, because a wrong sign has a code of its own.
        digits = core_schema.str_schema(strict=True, pattern=f"^-?{_UNSIGNED}$")
        return core_schema.no_info_after_validator_function(self._read, digits)

    def schema(self) -> dict[str, Any]:
        schema = matching(f"-?{_UNSIGNED}" if self.signed else _UNSIGNED, examples=["0.25"])
        # A second pattern, because many tools know no lookahead.
        return schema if self.zero else {**schema, "not": {"pattern": "^-?[0.]+$"}}

    def _read(self, digits: str) -> Decimal:
        value = Decimal(digits)
        if (not value and not self.zero) or (digits[0] == "-" and not self.signed):
            raise PydanticCustomError(self.sign, "the sign is wrong")
        return value


@dataclass(frozen=True)
class Text(Rule):
    """A string that matches a pattern as a whole, or at least is printable, not blank and not too long."""

    pattern: str = ""
    limit: int = 200
    null: bool = False
    _printable = ("INVALID_FORMAT", "must match printable characters")
    refusals = {
        "string_type": ("STRING_REQUIRED", "must be a string"),
        "string_too_long": ("TOO_LONG", "must have at most {limit} characters"),
        "string_pattern_mismatch": ("INVALID_FORMAT", "must match {pattern}"),
        "string_unicode": _printable,
        "unprintable": _printable,
        "blank": ("BLANK", "must not be blank"),
    }

    def check(self) -> CoreSchema:
        pattern = f"^(?:{self.pattern})$" if self.pattern else None
        text: CoreSchema = core_schema.str_schema(strict=True, max_length=self.limit, pattern=pattern)
        if not self.is_printable_by_pattern:
            text = core_schema.no_info_after_validator_function(_printable, text)
        return core_schema.nullable_schema(text) if self.null else text

    def schema(self) -> dict[str, Any]:
        text = matching(self.pattern) if self.pattern else {"type": "string", "pattern": r"\S"}
        text |= {"minLength": 1, "maxLength": self.limit}
        return {"oneOf": [text, {"type": "null"}]} if self.null else text

    @property
    def is_printable_by_pattern(self) -> bool:
        return bool(self.pattern)


def _printable(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "blank")
    if not text.isprintable():
        raise PydanticCustomError("unprintable", "not printable")
    return text


@dataclass(frozen=True)
class Email(Text):
    """An e-mail address."""

    pattern: str = r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*"
    limit: int = 254
    is_printable_by_pattern = False


class OneOf(Rule):
    """One of a few words, spelled exactly so."""

    _unknown = ("INVALID_CHOICE", "must be one of {known}")
    refusals = {"literal_error": _unknown, "string_unicode": _unknown}

    def __init__(self, words: type[Enum]) -> None:
        self.words = [word.value for word in words]
        self.known = ", ".join(self.words)

    def check(self) -> CoreSchema:
        return core_schema.literal_schema(self.words)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": self.words}


class Flag(Rule):
    """true or false, not "yes"."""

    refusals = {"bool_type": ("BOOLEAN_REQUIRED", "must be true or false")}

    def check(self) -> CoreSchema:
        return core_schema.bool_schema(strict=True)

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Identifier(Rule):
    """An id, as the number or the string of digits that it is known by."""

    refusals = {"no_id": ("INVALID_ID", "must be an id")}

    def check(self) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [ID, matching("[0-9]{1,19}", examples=["17"])]}

    def _read(self, data: Any) -> int:
        number = parse_id(data) if isinstance(data, str | int) and not isinstance(data, bool) else None
        if number is None:
            raise PydanticCustomError("no_id", "no id")
        return number


@dataclass(frozen=True)
class Items(Rule):
    """A list of so many items at most; each is read by whoever takes them, by the form that is named here."""

    limit: int
    of: type[BaseModel]
    refusals = {
        "list_type": ("LIST_REQUIRED", "must be a list"),
        "too_short": ("LIST_EMPTY", "must not be empty"),
        "too_long": ("LIST_TOO_LONG", "must have at most {limit} items"),
    }

    def check(self) -> CoreSchema:
        return core_schema.list_schema(strict=True, min_length=1, max_length=self.limit)

    def __get_pydantic_json_schema__(self, check: CoreSchema, handler: Any) -> dict[str, Any]:
        schema: dict[str, Any] = handler({**check, "items_schema": self.of.__pydantic_core_schema__})
        return schema
