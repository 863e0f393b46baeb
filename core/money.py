"""Fixed-point money: every price, quantity and amount inside the core is an integer of 1e-8 units.

Decimals exist only at the edges (JSON, database); integers add, compare and multiply exactly and fast.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

DIGITS = 8
UNIT: int = 10**DIGITS

# 90 billion: the largest round number whose units fit a signed 64-bit integer, in which SQLite stores money.
# No single amount and no asset's supply may exceed it, so no sum of balances can overflow.
MAX_UNITS = 90_000_000_000 * UNIT
MAX_AMOUNT = Decimal(90_000_000_000)


def to_units(amount: Decimal) -> int:
    """The amount in units of 1e-8. Raises ValueError if it has more than eight decimal places."""
    scaled = amount.scaleb(DIGITS)
    units = int(scaled)
    if units != scaled:
        raise ValueError(f"{amount} has more than {DIGITS} decimal places")
    return units


def to_decimal(units: int) -> Decimal:
    """Units of 1e-8 as a decimal, exactly."""
    return Decimal(units).scaleb(-DIGITS)


def notional(price: int, quantity: int) -> int:
    """Price times quantity, in units of the quote asset.

    Exact, without rounding, because tick and lot have together no more digits than the quote asset.
    """
    value, rest = divmod(price * quantity, UNIT)
    assert rest == 0, f"notional of {price} x {quantity} is not exact"
    return value


def fee(received: int, rate: int, step: int) -> int:
    """The fee on a received amount: received x rate, rounded up to a multiple of the asset's smallest step.

    All arguments and the result are integers: received and step in units, the rate in 1e-8 (0.001 is 100_000).
    """
    exact, divisor = received * rate, UNIT * step
    return -(-exact // divisor) * step


def plain(amount: Decimal) -> str:
    """A decimal as clients see it: without exponent and without trailing zeros."""
    text = f"{amount:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def plain_or_none(amount: Decimal | None) -> str | None:
    """The same, and None for None."""
    return None if amount is None else plain(amount)


@lru_cache(maxsize=16_384)
def plain_units(units: int) -> str:
    """Units as clients see the amount. Cached, because order updates repeat most of their amounts."""
    if units < 0:
        return f"-{plain_units(-units)}"
    whole, rest = divmod(units, UNIT)
    return f"{whole}.{rest:08d}".rstrip("0") if rest else str(whole)


def plain_units_or_none(units: int | None) -> str | None:
    """The same, and None for None."""
    return None if units is None else plain_units(units)


def stored_units(value: int | Decimal | str) -> int:
    """An amount as the database's driver gives it, in units: on SQLite an integer, or a text for a turnover."""
    if isinstance(value, int):
        return value
    # Most amounts of an order that is new are zero.
    return to_units(Decimal(value)) if value else 0


def units_or_none(value: int | Decimal | str | None) -> int | None:
    """The same where there may be no amount."""
    return None if value is None else stored_units(value)


# An average may need more digits than any price has. Those of a float are more than enough to compare by.
_AVERAGES = Context(prec=16, rounding=ROUND_HALF_EVEN)


def plain_average(total: int, quantity: int) -> str:
    """The average price, total / quantity, as clients see it: 16 significant digits, halves go to the even digit."""
    units, rest = divmod(total * UNIT, quantity)
    if not rest and units < 10**_AVERAGES.prec:
        # Most orders are filled at one price, whose text is kept.
        return plain_units(units)
    return plain(_AVERAGES.divide(Decimal(total), Decimal(quantity)))
