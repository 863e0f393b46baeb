"""What clients send, field by field. Every broken rule is named, and all of them are told at once."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from base.web.errors import InvalidField, refuse

_UNSIGNED = r"[0-9]{1,12}(\.[0-9]{1,8})?"
_DECIMAL = re.compile(rf"-?{_UNSIGNED}", re.ASCII)


class DecimalText(serializers.Field):  # type: ignore[type-arg]
    """An amount, price or quantity: a string of plain ASCII digits, at most 12 before the point and 8 after it."""

    default_error_messages = {
        "DECIMAL_STRING_REQUIRED": 'must be a string such as "0.25"; JSON numbers are refused for money',
        "INVALID_DECIMAL": "must be plain digits, at most 12 before the point and 8 after it, with no exponent",
        "MUST_BE_POSITIVE": "must be greater than zero",
        "MUST_NOT_BE_NEGATIVE": "must not be negative",
        "MUST_NOT_BE_ZERO": "must not be zero",
    }

    def __init__(self, *, signed: bool = False, zero: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.signed = signed
        self.zero = zero

    @property
    def pattern(self) -> str:
        """What it looks like, but for a zero where there may be none."""
        return f"-?{_UNSIGNED}" if self.signed else _UNSIGNED

    @property
    def wrong_sign(self) -> str:
        """The code of the rule about its sign."""
        if self.signed:
            return "MUST_NOT_BE_ZERO"
        return "MUST_NOT_BE_NEGATIVE" if self.zero else "MUST_BE_POSITIVE"

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, str):
            self.fail("DECIMAL_STRING_REQUIRED")
        if not _DECIMAL.fullmatch(data):
            self.fail("INVALID_DECIMAL")
        value = Decimal(data)
        if (data.startswith("-") and not self.signed) or (not value and not self.zero):
            self.fail(self.wrong_sign)
        return value

    def to_representation(self, value: Decimal) -> str:
        return f"{value:f}"


class Text(serializers.Field):  # type: ignore[type-arg]
    """A string that matches a pattern as a whole, or at least is not blank and not too long."""

    default_error_messages = {
        "STRING_REQUIRED": "must be a string",
        "BLANK": "must not be blank",
        "TOO_LONG": "must have at most {limit} characters",
        "INVALID_FORMAT": "must match {pattern}",
    }

    def __init__(self, *, pattern: str = "", limit: int = 200, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pattern = re.compile(pattern, re.ASCII) if pattern else None
        self.limit = limit

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("STRING_REQUIRED")
        text: str = data
        if len(text) > self.limit:
            self.fail("TOO_LONG", limit=self.limit)
        if self.pattern is not None and not self.pattern.fullmatch(text):
            self.fail("INVALID_FORMAT", pattern=self.pattern.pattern)
        if not text.strip():
            self.fail("BLANK")
        if "\x00" in text or not text.isprintable():
            self.fail("INVALID_FORMAT", pattern="printable characters")
        return text

    def to_representation(self, value: str) -> str:
        return value


class Choice(serializers.ChoiceField):
    """One of a few words, spelled exactly so."""

    default_error_messages = {"invalid_choice": "must be one of {choices}"}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", choices=", ".join(map(str, self.choices)))
        return data


class Flag(serializers.Field):  # type: ignore[type-arg]
    """true or false, not "yes"."""

    default_error_messages = {"BOOLEAN_REQUIRED": "must be true or false"}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("BOOLEAN_REQUIRED")
        return bool(data)

    def to_representation(self, value: bool) -> bool:
        return value


class Identifier(serializers.Field):  # type: ignore[type-arg]
    """An id, as the number or the string of digits that it is known by."""

    default_error_messages = {"INVALID_ID": "must be an id"}

    def to_internal_value(self, data: Any) -> int:
        number = parse_id(data) if isinstance(data, str | int) and not isinstance(data, bool) else None
        if number is None:
            self.fail("INVALID_ID")
        return number

    def to_representation(self, value: int) -> int:
        return value


class Items(serializers.Field):  # type: ignore[type-arg]
    """A list of so many items at most; each is read by whoever takes them, by the form that is named here."""

    default_error_messages = {
        "LIST_REQUIRED": "must be a list",
        "LIST_EMPTY": "must not be empty",
        "LIST_TOO_LONG": "must have at most {limit} items",
    }

    def __init__(self, *, limit: int, of: "type[Form]", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.limit = limit
        self.of = of

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            self.fail("LIST_REQUIRED")
        if not data:
            self.fail("LIST_EMPTY")
        if len(data) > self.limit:
            self.fail("LIST_TOO_LONG", limit=self.limit)
        return data

    def to_representation(self, value: list[Any]) -> list[Any]:
        return value


class Email(Text):
    """An e-mail address."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(pattern=r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*", limit=254, **kwargs)


class Form(serializers.Serializer):  # type: ignore[type-arg]
    """A request's fields, declared in snake_case and sent in camelCase; unknown ones are refused.

    Read from the class: each instance would copy its fields, and reading changes none of them.
    """

    _fields_by_sent_name: ClassVar[dict[str, tuple[str, Any]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._fields_by_sent_name = {camel(name): (name, field) for name, field in cls._declared_fields.items()}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> tuple[dict[str, Any], list[InvalidField]]:
        """The values of the fields that are well formed, and an error for each that is not."""
        values: dict[str, Any] = {}
        errors: list[InvalidField] = []
        for unknown in (name for name in data if name not in cls._fields_by_sent_name):
            errors.append(
                InvalidField(printable(unknown), "FIELD_UNKNOWN", f"{printable(unknown)} is not a field here")
            )
        for sent, (name, field) in cls._fields_by_sent_name.items():
            if sent not in data and not field.required:
                continue
            try:
                values[name] = _clean(field, data, sent)
            except ValidationError as error:
                errors += [_as_invalid_field(sent, detail) for detail in _details(error)]
        return values, errors

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """The values of all fields. Raises InvalidField or ValidationFailed."""
        values, errors = cls.parse(data)
        refuse(errors)
        return values


def sent_fields(form: type[Form]) -> dict[str, Any]:
    """The form's fields by the names under which they are sent."""
    return {sent: field for sent, (_, field) in form._fields_by_sent_name.items()}


def camel(name: str) -> str:
    """client_order_id is sent as clientOrderId."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def printable(text: str) -> str:
    """A client's own word, cut and made harmless before it is told back."""
    return text[:64].encode("unicode_escape").decode("ascii")


def parse_id(text: str | int) -> int | None:
    """A positive 63-bit id written in plain ASCII digits, else None: no such thing exists."""
    digits = str(text)
    if not re.fullmatch(r"[0-9]{1,19}", digits, re.ASCII):
        return None
    number = int(digits)
    return number if 0 < number < 2**63 else None


def parse_limit(text: str | None, default: int, most: int) -> int:
    """A page size from a query string. Raises InvalidField."""
    if text is None:
        return default
    limit = parse_id(text)
    if limit is None or limit > most:
        raise InvalidField(
            "limit", "LIMIT_OUT_OF_RANGE", f"limit must be between 1 and {most}", minimum=1, maximum=most
        )
    return limit


def _clean(field: Any, data: Mapping[str, Any], sent: str) -> Any:
    if sent not in data:
        raise ValidationError("is required", code="FIELD_REQUIRED")
    value = data[sent]
    if value is None:
        if field.allow_null:
            return None
        raise ValidationError("must not be null", code="FIELD_REQUIRED")
    return field.to_internal_value(value)


def _details(error: ValidationError) -> list[Any]:
    detail = error.detail
    return list(detail) if isinstance(detail, list) else [detail]


def _as_invalid_field(name: str, detail: Any) -> InvalidField:
    return InvalidField(name, str(detail.code).upper(), f"{name} {detail}")
