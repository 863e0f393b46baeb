"""What a tool answers: data of a limited size, in which texts of others are short, and without unseen characters."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

LONGEST_TEXT = 200
MOST_ITEMS = 50


def shown(value: Any) -> Any:
    """As JSON, amounts and times as text."""
    if is_dataclass(value) and not isinstance(value, Sequence):
        return {each.name: shown(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {text(str(name)): shown(each) for name, each in list(value.items())[:MOST_ITEMS]}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [shown(each) for each in value[:MOST_ITEMS]]
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.isoformat() if isinstance(value, datetime) else value


def text(value: str) -> str:
    """Without characters that are not seen, and no longer than it may be."""
    seen = "".join(" " if unicodedata.category(each).startswith("C") else each for each in value[: LONGEST_TEXT + 1])
    return seen if len(seen) <= LONGEST_TEXT else seen[:LONGEST_TEXT] + "..."
