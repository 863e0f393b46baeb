"""Forms as JSON Schema: limits, patterns and words are those of the fields themselves."""

from collections.abc import Iterator
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction

from base.web.forms import Choice, DecimalText, Flag, Form, Identifier, Items, Text, sent_fields
from base.web.openapi.shapes import ID, Schema, matching, nullable, word

_TAKEN_BY_EVERY_FORM = ("MALFORMED_BODY", "VALIDATION_FAILED", "FIELD_REQUIRED", "FIELD_UNKNOWN")
# What Django REST Framework's own base class would say, and our forms never do.
_NEVER_SAID = {"NULL", "REQUIRED", "INVALID"}


class FormShape(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """How drf-spectacular sees a form; unknown fields are refused."""

    target_class = "base.web.forms.Form"
    match_subclasses = True

    def get_name(self, auto_schema: AutoSchema, direction: Direction) -> str:
        return form_class(self.target).__name__

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> Schema:
        return form_schema(form_class(self.target), lambda form: auto_schema.resolve_serializer(form, direction).ref)


def form_class(form: Any) -> type[Form]:
    found = form if isinstance(form, type) else type(form)
    assert issubclass(found, Form)
    return found


def form_schema(form: type[Form], refer: Any) -> Schema:
    """`refer` gives the reference to a form inside of this one."""
    fields = sent_fields(form)
    required = [sent for sent, field in fields.items() if field.required]
    return {
        "type": "object",
        **({"required": required} if required else {}),
        "properties": {sent: _schema(field, refer) for sent, field in fields.items()},
        "additionalProperties": False,
    }


def form_codes(form: type[Form]) -> set[str]:
    """The codes of the rules that the form's fields may break, one by one."""
    codes = set(_TAKEN_BY_EVERY_FORM)
    for field in sent_fields(form).values():
        codes |= set(_codes(field))
        if isinstance(field, Items):
            # What is inside is refused item by item, and the call answers all the same.
            codes.discard("FIELD_NOT_ALLOWED")
    return codes


def _codes(field: Any) -> Iterator[str]:
    wrong_signs = {"MUST_BE_POSITIVE", "MUST_NOT_BE_NEGATIVE", "MUST_NOT_BE_ZERO"}
    impossible = wrong_signs - {field.wrong_sign} if isinstance(field, DecimalText) else set()
    for code in (each.upper() for each in field.default_error_messages):
        if code not in _NEVER_SAID | impossible:
            yield code


def _schema(field: Any, refer: Any) -> Schema:
    described: dict[str, Any] = {"description": field.help_text} if field.help_text else {}
    schema = {**_of_kind(field, refer), **described}
    return nullable(schema) if field.allow_null else schema


def _of_kind(field: Any, refer: Any) -> Schema:
    match field:
        case DecimalText():
            return _decimal(field)
        case Text():
            return _text(field)
        case Choice():
            return word(*field.choices)
        case Flag():
            return {"type": "boolean"}
        case Identifier():
            digits = matching("[0-9]{1,19}", examples=["17"])
            return {"anyOf": [ID, digits]}
        case Items():
            return {"type": "array", "minItems": 1, "maxItems": field.limit, "items": refer(field.of)}
    raise TypeError(f"{type(field).__name__} has no schema")


def _decimal(field: DecimalText) -> Schema:
    schema = matching(field.pattern, examples=["0.25"])
    # A second pattern, because many tools know no lookahead.
    return schema if field.zero else {**schema, "not": {"pattern": "^-?[0.]+$"}}


def _text(field: Text) -> Schema:
    limits: Schema = {"minLength": 1, "maxLength": field.limit}
    if field.pattern is None:
        return {"type": "string", "pattern": r"\S", **limits}
    return {**matching(field.pattern.pattern), **limits}
