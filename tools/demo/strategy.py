"""What a simulated trader would like to do next: a price that wanders, and orders around it. No I/O."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from clients.python.clearbell import NewOco, NewOrder, Order
from clients.python.clearbell.terms import SIDES, Amount, SelfTradePrevention, TimeInForce

# One step of the price, relative: about 1 % an hour at the usual rate.
STEP = 0.0002
# How strongly the price is drawn back to where it began.
PULL = 0.0005
SPREAD = 0.0008

# What concerns an order that is there already.
CHANGES = ("amend", "replace", "cancel")
ACTIONS = {
    "quote": 38,
    "take": 14,
    "sweep": 7,
    "market": 10,
    "cancel": 12,
    "amend": 6,
    "replace": 2,
    "oco": 1,
    "iceberg": 3,
    "gtd": 3,
    "stop": 1.5,
    "take-profit": 1,
    "trailing": 1,
}
# How far from the price stops wait, relative, and how long a GTD order lasts.
STOP_DISTANCE = 0.0015
GTD_SECONDS = (2, 30)


@dataclass
class Price:
    """What the traders think a market is worth; they share it."""

    symbol: str
    anchor: float
    tick_size: Decimal
    lot_size: Decimal
    usual_quantity: Decimal
    mid: float = 0.0

    def __post_init__(self) -> None:
        self.mid = self.mid or self.anchor

    def wander(self) -> None:
        self.mid *= 1 + random.gauss(0, STEP) + PULL * (self.anchor / self.mid - 1)

    def near(self, distance: float) -> Decimal:
        """The price so far above the mid, relative, on the tick."""
        return _steps(Decimal(self.mid * (1 + distance)), self.tick_size)

    def quantity(self) -> Decimal:
        return _steps(self.usual_quantity * Decimal(random.lognormvariate(0, 0.8)), self.lot_size)


def choose_action() -> str:
    return random.choices(list(ACTIONS), weights=list(ACTIONS.values()))[0]


def new_order(action: str, price: Price) -> NewOrder:
    """An order of that kind, with a key of its own."""
    price.wander()
    side = random.choice(SIDES)
    quantity = price.quantity()
    order: dict[str, Any] = {"symbol": price.symbol, "side": side, "quantity": quantity}
    away = -1 if side == "BUY" else 1
    if action == "market":
        return NewOrder(**_market_order(order, price, quantity))
    if action in _STOPS:
        return NewOrder(**order, **_STOPS[action](price, away))
    if action in ("quote", "iceberg", "gtd"):
        # Rests beside the mid; what is far away waits for the price to come.
        distance = away * random.expovariate(1 / SPREAD)
        quoted = {**order, "type": "LIMIT", "price": price.near(distance), "time_in_force": "GTC"}
        more = _iceberg(price, quantity) if action == "iceberg" else _gtd() if action == "gtd" else {}
        return NewOrder(**(quoted | more))
    # Takes what others quoted: with "sweep" only what is there, with "take" the rest is quoted.
    distance = -away * SPREAD
    swept: tuple[TimeInForce, ...] = ("IOC", "IOC", "FOK")
    kind = random.choice(swept) if action == "sweep" else "GTC"
    prevention: SelfTradePrevention | None = "DECREMENT" if random.random() < 0.2 else None
    return NewOrder(**order, price=price.near(distance), time_in_force=kind, self_trade_prevention=prevention)


def new_oco(price: Price) -> NewOco:
    """A target on one side of the price, and a stop on the other."""
    side = random.choice(SIDES)
    away = (-1 if side == "BUY" else 1) * STOP_DISTANCE
    return NewOco(
        symbol=price.symbol,
        side=side,
        quantity=price.quantity(),
        price=price.near(away),
        stop_price=price.near(-away),
        stop_limit_price=price.near(-2 * away),
    )


def amendment(order: Order, price: Price) -> Mapping[str, Amount]:
    """What to change of an order that waits or rests: its stop price, its price, or its quantity, which shrinks."""
    away = -1 if order.side == "BUY" else 1
    if order.status == "WAITING":
        return {"stop_price": price.near(-away * STOP_DISTANCE)} if order.type != "TRAILING_STOP" else {}
    if random.random() < 0.5 or order.group_id is not None:
        return {"price": price.near(away * random.expovariate(1 / SPREAD))}
    # Of a MARKET BUY by budget there is no quantity; none of them waits or rests.
    assert order.quantity is not None and order.remaining_quantity is not None
    left = order.remaining_quantity
    return {"quantity": order.quantity - _steps(left / 2, price.lot_size)} if left > price.lot_size else {}


# A stop is on the other side of the price than its order would rest.
_STOPS: dict[str, Callable[[Price, int], dict[str, Any]]] = {
    "stop": lambda price, away: {"type": "STOP", "stop_price": price.near(-away * STOP_DISTANCE)},
    "take-profit": lambda price, away: {
        "type": "TAKE_PROFIT_LIMIT",
        "stop_price": price.near(away * STOP_DISTANCE),
        "price": price.near(away * STOP_DISTANCE / 2),
    },
    "trailing": lambda price, away: {
        "type": "TRAILING_STOP",
        "trailing_offset": _steps(Decimal(price.mid * STOP_DISTANCE), price.tick_size),
    },
}


def _iceberg(price: Price, quantity: Decimal) -> dict[str, Any]:
    tip = _steps(quantity / 4, price.lot_size)
    return {"display_quantity": tip} if tip < quantity else {}


def _gtd() -> dict[str, Any]:
    expires_at = datetime.now(UTC) + timedelta(seconds=random.uniform(*GTD_SECONDS))
    return {"time_in_force": "GTD", "expires_at": expires_at}


def _market_order(order: dict[str, Any], price: Price, quantity: Decimal) -> dict[str, Any]:
    order["type"] = "MARKET"
    if order["side"] == "BUY" and random.random() < 0.5:
        # A budget in quote instead of a quantity.
        del order["quantity"]
        order["quote_quantity"] = _steps(quantity * Decimal(price.mid), Decimal("0.01"))
    return order


def _steps(value: Decimal, step: Decimal) -> Decimal:
    """The value as whole steps, one at least."""
    return max(round(value / step), 1) * step
