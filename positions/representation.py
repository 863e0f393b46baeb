"""A position as clients see it: exact, except for the average, which has 16 significant digits."""

from collections.abc import Mapping
from decimal import Decimal

from core.money import UNIT, plain_average, plain_or_none, plain_units, to_units
from positions import answers
from positions.holding import Holding


def represent(
    asset: str,
    currency: str,
    holding: Holding | None,
    quantity: int,
    price: Decimal | None,
    as_of: Mapping[str, int],
) -> answers.Position:
    """`holding` is None while the main market has not traded: nothing of the asset has a price then."""
    value = unrealized = average = None
    if holding is not None and price is not None:
        worth = holding.quantity * to_units(price)
        value, unrealized = _exact(worth), _exact(worth - holding.cost * UNIT)
        average = plain_average(holding.cost, holding.quantity) if holding.quantity else None
    return {
        "asset": asset,
        "quantity": plain_units(quantity if holding is None else holding.quantity),
        "averageCost": average,
        "costCurrency": currency,
        "markPrice": plain_or_none(price),
        "marketValue": value,
        "unrealizedPnl": unrealized,
        "realizedPnl": plain_units(holding.realized if holding else 0),
        "asOf": dict(as_of),
    }


def represent_cash(asset: str, quantity: int, as_of: Mapping[str, int]) -> answers.Position:
    """An asset that is no market's base is counted in itself."""
    amount = plain_units(quantity)
    return {
        "asset": asset,
        "quantity": amount,
        "averageCost": "1",
        "costCurrency": asset,
        "markPrice": "1",
        "marketValue": amount,
        "unrealizedPnl": "0",
        "realizedPnl": "0",
        "asOf": dict(as_of),
    }


def _exact(value: int) -> str:
    """A product of two amounts, of which each is in units."""
    if value < 0:
        return f"-{_exact(-value)}"
    whole, rest = divmod(value, UNIT * UNIT)
    return f"{whole}.{rest:016d}".rstrip("0").rstrip(".")
