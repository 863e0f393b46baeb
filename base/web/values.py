"""Values as clients see them: the types of the fields of answers. The API's description is derived from them.

A type is a hint where an answer is written as a dictionary; pydantic converts by it where an answer is read from an
object.
"""

import re
from typing import Annotated, Any

from pydantic import AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from typing_extensions import TypeAliasType

from base.web.errors import timestamp
from core.money import plain

Schema = dict[str, Any]


def matching(pattern: str, text: str = "", **more: Any) -> Schema:
    """The schema of a string that matches as a whole."""
    return {"type": "string", "pattern": f"^(?:{pattern})$", **({"description": text} if text else {}), **more}


def text_like(pattern: str, text: str, example: str) -> WithJsonSchema:
    """The schema of a text that matches as a whole, for its type."""
    return WithJsonSchema(matching(pattern, text, examples=[example]))


def parse_id(text: str | int) -> int | None:
    """A positive 63-bit id written in plain ASCII digits, else None: no such thing exists."""
    digits = str(text)
    if not re.fullmatch(r"[0-9]{1,19}", digits, re.ASCII):
        return None
    number = int(digits)
    return number if 0 < number < 2**63 else None


ID: Schema = {"type": "integer", "format": "int64", "minimum": 1, "maximum": 2**63 - 1}
Id = Annotated[int, WithJsonSchema(ID)]
Count = Annotated[int, Field(ge=0)]
Amount = TypeAliasType(
    "Amount",
    Annotated[
        str,
        BeforeValidator(plain),
        text_like(
            r"[0-9]+(\.[0-9]*[1-9])?",
            "An exact decimal as a string: plain digits, no exponent, trailing zeros trimmed.",
            "30000.25",
        ),
    ],
)
SignedAmount = TypeAliasType(
    "SignedAmount",
    Annotated[
        str,
        BeforeValidator(plain),
        text_like(r"-?[0-9]+(\.[0-9]*[1-9])?", "As Amount, negative where it is taken away.", "-0.5"),
    ],
)
Instant = TypeAliasType(
    "Instant",
    Annotated[
        str,
        BeforeValidator(timestamp),
        WithJsonSchema(
            matching(
                r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z",
                "ISO 8601, UTC, with microseconds.",
                format="date-time",
                examples=["2026-01-01T12:00:00.000000Z"],
            )
        ),
    ],
)
# By market: the number of an event that the answer certainly includes.
AsOf = dict[str, int]
AS_OF: Schema = {
    "type": "object",
    "additionalProperties": {"type": "integer", "minimum": 0},
    "description": (
        "For each market that the answer concerns: the number of an event that it certainly includes. It may hold more."
    ),
    "examples": [{"BTC-USD": 1234}],
}


def described(text: str) -> Any:
    """What a field means, beside its type."""
    return Field(description=text)


def camel(name: str) -> str:
    """client_order_id is sent as clientOrderId."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


class Answer(BaseModel):
    """An answer that is read from the object that it shows: its fields are the object's attributes."""

    model_config = ConfigDict(from_attributes=True, alias_generator=AliasGenerator(serialization_alias=camel))

    @classmethod
    def of(cls, shown: object) -> dict[str, Any]:
        return cls.model_validate(shown).model_dump(by_alias=True)
