"""The terms of an extended order after an event, as the event's row keeps them.

A plain text of words and numbers, because `base.storage.bulk` writes no other: "price:100 quantity:5". Amounts are in
units, instants in microseconds of the epoch; what is none is left out.
"""

from datetime import UTC, datetime, timedelta

from core.outcome import Terms

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# The names of the fields of Terms, in their order.
_NAMES = ("price", "quantity", "stop", "display", "expires", "triggered", "prevented", "preventedQuote")


def terms_text(terms: Terms) -> str:
    """The text, of at most 230 characters."""
    return " ".join(f"{name}:{_number(value)}" for name, value in zip(_NAMES, terms, strict=True) if value)


def parse_terms(text: str) -> Terms:
    """The terms of a text that `terms_text` made."""
    values = dict(pair.split(":") for pair in text.split())
    found = {field: int(values[name]) for field, name in zip(Terms._fields, _NAMES, strict=True) if name in values}
    expires_at = _EPOCH + found.pop("expires_at") * _MICROSECOND if "expires_at" in found else None
    return Terms(
        price=found.get("price"),
        quantity=found.get("quantity"),
        stop_price=found.get("stop_price"),
        display_quantity=found.get("display_quantity"),
        expires_at=expires_at,
        is_triggered=bool(found.get("is_triggered")),
        prevented=found.get("prevented", 0),
        prevented_notional=found.get("prevented_notional", 0),
    )


def _number(value: object) -> int:
    if isinstance(value, datetime):
        return (value - _EPOCH) // _MICROSECOND
    assert isinstance(value, int), value
    return int(value)
