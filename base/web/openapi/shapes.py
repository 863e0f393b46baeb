"""The words in which answers are described: JSON Schema, with names for what comes more than once."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Shape:
    """A schema with a name. It may stand wherever a schema may; the finished document refers to it by its name."""

    name: str
    schema: Schema


def record(fields: Schema, *, optional: Iterable[str] = (), text: str = "") -> Schema:
    """An object whose fields all are there, but for the optional ones."""
    left_out = set(optional)
    described = {"description": text} if text else {}
    required = [name for name in fields if name not in left_out]
    return {"type": "object", **described, "required": required, "properties": fields}


def list_of(item: Schema | Shape, text: str = "") -> Schema:
    return {"type": "array", "items": item, **({"description": text} if text else {})}


def word(*values: str, text: str = "") -> Schema:
    """One of a few words."""
    return {"type": "string", "enum": list(values), **({"description": text} if text else {})}


def matching(pattern: str, text: str = "", **more: Any) -> Schema:
    """A string that matches as a whole."""
    return {"type": "string", "pattern": f"^(?:{pattern})$", **({"description": text} if text else {}), **more}


def nullable(schema: Schema | Shape, text: str = "") -> Schema:
    return {"oneOf": [schema, {"type": "null"}], **({"description": text} if text else {})}


TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
ID: Schema = {"type": "integer", "format": "int64", "minimum": 1, "maximum": 2**63 - 1}
AMOUNT = Shape(
    "Amount",
    matching(
        r"[0-9]+(\.[0-9]*[1-9])?",
        "An exact decimal as a string: plain digits, no exponent, trailing zeros trimmed.",
        examples=["30000.25"],
    ),
)
SIGNED_AMOUNT = Shape(
    "SignedAmount",
    matching(r"-?[0-9]+(\.[0-9]*[1-9])?", "As Amount, negative where it is taken away.", examples=["-0.5"]),
)
INSTANT = Shape(
    "Instant",
    matching(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z",
        "ISO 8601, UTC, with microseconds.",
        format="date-time",
        examples=["2026-01-01T12:00:00.000000Z"],
    ),
)


def envelope(data: Schema | Shape, *, status: int, paged: bool = False) -> Schema:
    """An answer as all of them look; a page of a list has its cursor beside the data."""
    cursor = {"nextCursor": nullable(TEXT, "Hand it back as `cursor`; null on the last page.")} if paged else {}
    return record({"code": {"const": status}, "message": TEXT, "data": data, **cursor, "timestamp": INSTANT})
