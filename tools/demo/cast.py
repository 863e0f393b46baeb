"""Who and what the demo shows: its users, their funds and its markets. Everybody knows the password of those who trade
by hand; in a demo that others reach, that of the others is its own.
"""

from dataclasses import dataclass, field
from decimal import Decimal

PASSWORD = "exchange-demo"  # noqa: S105


@dataclass(frozen=True)
class Member:
    """A demo user. `funds` are deposited once; `rate_limit` is its own, in requests a second, None for the default."""

    name: str
    role: str
    funds: dict[str, int] = field(default_factory=dict)
    is_staff: bool = False
    rate_limit: int | None = None


@dataclass(frozen=True)
class Listing:
    """A demo market, and the price around which its trading begins."""

    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    maker_fee_rate: Decimal
    taker_fee_rate: Decimal
    first_price: Decimal
    # About what one order asks for, in base.
    usual_quantity: Decimal
    # The traders empty a side of the book at times: what somebody ordered far away is not filled then.
    price_band: Decimal = Decimal("0.05")


BY_HAND = {"USD": 1_000_000, "BTC": 20, "ETH": 300}
# Enough for weeks: what they buy and sell nearly evens out, but every trade costs a fee.
TO_TRADE = {"USD": 1_000_000_000, "BTC": 10_000, "ETH": 150_000}

# For whoever tries the exchange out: nothing simulated touches their accounts.
HUMANS = (
    Member("alice", "a trader", BY_HAND),
    Member("bob", "a trader", BY_HAND),
    Member("carol", "a trader", BY_HAND),
    Member("admin", "staff", is_staff=True),
)
# They send seven requests a second on the average, and at times many more: an operator would raise their limit too.
TRADERS = tuple(Member(f"trader-{number}", "simulated", TO_TRADE, rate_limit=50) for number in range(1, 5))

# What the sandbox's account owns, which fills orders whose name asks for it.
COUNTERPARTY = TO_TRADE

LISTINGS = (
    Listing(
        symbol="BTC-USD",
        base="BTC",
        quote="USD",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.0001"),
        maker_fee_rate=Decimal("0.0005"),
        taker_fee_rate=Decimal("0.001"),
        first_price=Decimal(60_000),
        usual_quantity=Decimal("0.02"),
    ),
    Listing(
        symbol="ETH-USD",
        base="ETH",
        quote="USD",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.0001"),
        maker_fee_rate=Decimal("0.0005"),
        taker_fee_rate=Decimal("0.001"),
        first_price=Decimal(3_000),
        usual_quantity=Decimal("0.4"),
    ),
)
