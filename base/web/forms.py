"""What clients send: a form is a pydantic model. Every broken rule is named, and all of them at once."""

import functools
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from base.web.errors import InvalidField, refuse
from base.web.rules import Rule
from base.web.values import camel


class Form(BaseModel):
    """A request's fields, declared in snake_case with a Rule each, and sent in camelCase; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", alias_generator=camel)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """The form. Raises InvalidField or ValidationFailed."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            refuse(cls._parse_broken(data, error)[1])
            raise

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> tuple[dict[str, Any], list[InvalidField]]:
        """The values of the fields that were sent and are well formed, and an error for each that is not."""
        try:
            return cls.model_validate(data).sent(), []
        except ValidationError as error:
            return cls._parse_broken(data, error)

    def sent(self) -> dict[str, Any]:
        """The values of the fields that were sent."""
        values = self.__dict__
        return {name: values[name] for name in self.__pydantic_fields_set__}

    @classmethod
    def codes(cls) -> set[str]:
        """The codes of the rules that its fields may break, one by one."""
        return {code for _, rule in _fields(cls).values() for code, _ in rule.refusals.values()}

    @classmethod
    def _parse_broken(
        cls, data: Mapping[str, Any], error: ValidationError
    ) -> tuple[dict[str, Any], list[InvalidField]]:
        fields = _fields(cls)
        errors = [_unknown(printable(name)) for name in data if name not in fields]
        if errors:
            # Without the unknown ones, because a name that is no Unicode text ends pydantic's reading.
            data = {name: value for name, value in data.items() if name in fields}
            try:
                return cls.model_validate(data).sent(), errors
            except ValidationError as other:
                error = other
        broken = {str(each["loc"][0]): each for each in error.errors(include_url=False, include_context=False)}
        errors += [_invalid(name, fields[name][1], each) for name, each in broken.items()]
        well_formed = cls.model_construct()
        for name in data.keys() - broken.keys():
            cls.__pydantic_validator__.validate_assignment(well_formed, fields[name][0], data[name])
        return well_formed.sent(), errors


@functools.cache
def _fields(form: type[Form]) -> dict[str, tuple[str, Rule]]:
    """The name and the rule of each field, by the name under which it is sent."""
    return {field.alias or name: (name, field.metadata[0]) for name, field in form.model_fields.items()}


def _unknown(name: str) -> InvalidField:
    return InvalidField(name, "FIELD_UNKNOWN", f"{name} is not a field here")


def _invalid(name: str, rule: Rule, error: ErrorDetails) -> InvalidField:
    """The refusal that pydantic's error stands for."""
    if error["type"] == "missing":
        return InvalidField(name, "FIELD_REQUIRED", f"{name} is required")
    if error["input"] is None:
        return InvalidField(name, "FIELD_REQUIRED", f"{name} must not be null")
    code, words = rule.refusals[error["type"]]
    return InvalidField(name, code, f"{name} {words}", **rule.data)


def printable(text: str) -> str:
    """A client's own word, cut and made harmless before it is sent back."""
    return text[:64].encode("unicode_escape").decode("ascii")
