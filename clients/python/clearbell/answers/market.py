"""What everybody may see: markets, order books, trades, candles, tickers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Market:
    """What is traded, in which steps, at which fees."""

    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    min_notional: Decimal
    max_notional: Decimal
    price_band: Decimal | None
    max_open_orders: int
    maker_fee_rate: Decimal
    taker_fee_rate: Decimal
    fee_currency: str
    self_trade_prevention: str
    status: str
    # In a sandbox: a client order id may order the fate of its order.
    simulated_fates: bool = False


@dataclass(frozen=True, slots=True)
class Asset:
    """What a user can own."""

    code: str
    scale: int
    supply: Decimal


@dataclass(frozen=True, slots=True)
class Level:
    """All that rests at one price."""

    price: Decimal
    quantity: Decimal
    order_count: int


@dataclass(frozen=True, slots=True)
class Depth:
    """The best levels of both sides, best first, as of one number of the market's sequence."""

    symbol: str
    sequence: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    best_bid: Decimal | None
    best_ask: Decimal | None
    spread: Decimal | None
    # In an auction alone.
    indicative_price: Decimal | None = None
    indicative_quantity: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Trade:
    """A line of the public tape."""

    trade_id: str
    sequence: int
    price: Decimal
    quantity: Decimal
    taker_side: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Candle:
    """What was traded in one interval."""

    open_time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int


@dataclass(frozen=True, slots=True)
class Ticker:
    """The last 24 hours; None where nothing was traded or nothing rests."""

    symbol: str
    last_price: Decimal | None
    price_change: Decimal | None
    price_change_percent: Decimal | None
    high: Decimal | None
    low: Decimal | None
    volume: Decimal
    quote_volume: Decimal
    best_bid: Decimal | None
    best_ask: Decimal | None
    trades: int


@dataclass(frozen=True, slots=True)
class FeeTier:
    """A level of fees, and how much one has to trade for it."""

    tier: int
    maker_fee_rate: Decimal
    taker_fee_rate: Decimal
    volume: Decimal
    volume_lacking: Decimal
    volume_currency: str


@dataclass(frozen=True, slots=True)
class Fees:
    """What the caller pays in a market."""

    symbol: str
    maker_fee_rate: Decimal
    taker_fee_rate: Decimal
    fee_currency: str
    tier: int | None
    next_tier: FeeTier | None


@dataclass(frozen=True, slots=True)
class Time:
    """The exchange's clock."""

    server_time: datetime


@dataclass(frozen=True, slots=True)
class Info:
    """Which exchange answers."""

    name: str
    version: str
    commit: str | None
    started_at: datetime
    # Whether programs of the Model Context Protocol may trade here.
    mcp_allowed: bool = False


AsOf = Mapping[str, int]
