"""The terms of the clients' orders: every kind, around a price that all share, so that much of it trades."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

PRICE, SPREAD_TICKS, TICK = 100.0, 6, 0.1
PREVENTIONS = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT")
_PLAIN = {"limit": 40, "market": 8, "budget": 6, "ioc": 8, "fok": 6, "post-only": 12}
_STOPS = {"stop": 4, "stop-limit": 3, "take-profit": 3, "take-profit-limit": 3, "trailing-stop": 4}
KINDS = {**_PLAIN, **_STOPS, "iceberg": 6, "gtd": 5}
# How far from the shared price stops wait, in ticks.
STOP_TICKS = 8


def utc_now() -> datetime:
    return datetime.now(UTC)


def random_terms(random: Random, kind: str, side: str, now: Callable[[], datetime] = utc_now) -> dict[str, Any]:
    """The fields of an order of this kind, but for its symbol, side and key."""
    quantity = f"{random.randrange(1, 500) / 100:.2f}"
    if kind in _STOPS:
        return _stop_terms(random, kind, side, quantity)
    if kind == "budget" and side == "BUY":
        return {"type": "MARKET", "quoteQuantity": f"{random.randrange(10, 500)}"}
    if kind in ("market", "budget"):
        return {"type": "MARKET", "quantity": quantity}
    # Those that must not trade stand a little further off, or nearly all of them would be refused.
    away = (-4 if side == "BUY" else 4) if kind == "post-only" else 0
    terms = {"type": "LIMIT", "price": near(random, away), "quantity": quantity}
    expires_at = now() + timedelta(seconds=random.randrange(2, 30))
    more: dict[str, dict[str, Any]] = {
        "ioc": {"timeInForce": "IOC"},
        "fok": {"timeInForce": "FOK"},
        "gtd": {"timeInForce": "GTD", "expiresAt": expires_at.isoformat()},
        "iceberg": {"quantity": f"{random.randrange(200, 500) / 100:.2f}", "displayQuantity": "1"},
        "post-only": {"postOnly": True},
    }
    return terms | more.get(kind, {})


def near(random: Random, away: int = 0) -> str:
    """A price so many ticks away from one near to the shared price."""
    return f"{PRICE + (random.randint(-SPREAD_TICKS, SPREAD_TICKS) + away) * TICK:.1f}"


def stop_price(random: Random) -> str:
    return f"{PRICE + random.randint(-STOP_TICKS, STOP_TICKS) * TICK:.1f}"


def _stop_terms(random: Random, kind: str, side: str, quantity: str) -> dict[str, Any]:
    terms = {"type": kind.upper().replace("-", "_"), "quantity": quantity}
    if kind == "trailing-stop":
        return terms | {"trailingOffset": f"{random.randrange(1, STOP_TICKS) * TICK:.1f}"}
    terms["stopPrice"] = stop_price(random)
    return terms | ({"price": near(random)} if kind.endswith("-limit") else {})
