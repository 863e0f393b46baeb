"""Accounts: users, keys, money."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account owns of one asset; the times are None for an asset that was never held."""

    user_id: int
    currency: str
    available_balance: Decimal
    frozen_balance: Decimal
    total_balance: Decimal
    created_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One change of what an account owns."""

    entry_id: int
    kind: str
    amount: Decimal
    reference: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Position:
    """What one owns of an asset, what it cost, and what it is worth."""

    asset: str
    quantity: Decimal
    average_cost: Decimal | None
    cost_currency: str
    mark_price: Decimal | None
    market_value: Decimal | None
    unrealized_pnl: Decimal | None
    realized_pnl: Decimal
    as_of: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Limits:
    """What an account may do at most; None: as everybody, or not limited."""

    requests_per_second: int | None
    open_notional: Mapping[str, Decimal]
    markets: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Account:
    """The caller's account as a whole."""

    user_id: int
    username: str
    balances: tuple[Balance, ...]
    limits: Limits
    open_orders: int


@dataclass(frozen=True, slots=True)
class User:
    """An account's name and address; `is_staff` and `updated_at` of one's own."""

    user_id: int
    username: str
    email: str
    created_at: datetime
    is_staff: bool = False
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new API key. The secret is shown this once; None for ED25519."""

    key_id: str
    secret: str | None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One of the caller's API keys."""

    key_id: str
    label: str
    scopes: tuple[str, ...]
    addresses: tuple[str, ...]
    algorithm: str
    public_key: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Ticket:
    """Opens one stream."""

    ticket: str
    expires_in: int


@dataclass(frozen=True, slots=True)
class Approval:
    """A movement of money that one operator asked for and another decides."""

    approval_id: int
    status: str
    kind: str | None = None
    user_id: int | None = None
    currency: str | None = None
    amount: Decimal | None = None
    reason: str = ""
    reference: str = ""
    proposed_by: int | None = None
    created_at: datetime | None = None
    decided_by: int | None = None
    decided_at: datetime | None = None
    decision_reason: str = ""


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """What the kill switch did."""

    cancelled: int
    blocked: bool


@dataclass(frozen=True, slots=True)
class StreamStats:
    """How many users have how many streams open."""

    total_users: int
    total_connections: int
