"""What a simulated trader would like to do next: a price that wanders, and orders around it. No I/O."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

# One step of the price, relative: about 1 % an hour at the usual rate.
STEP = 0.0002
# How strongly the price is drawn back to where it began.
PULL = 0.0005
SPREAD = 0.0008

ACTIONS = {"quote": 50, "take": 16, "sweep": 8, "market": 12, "cancel": 14}


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

    def near(self, distance: float) -> str:
        """The price so far above the mid, relative, on the tick."""
        return str(_steps(Decimal(self.mid * (1 + distance)), self.tick_size))

    def quantity(self) -> Decimal:
        return _steps(self.usual_quantity * Decimal(random.lognormvariate(0, 0.8)), self.lot_size)


def choose_action() -> str:
    return random.choices(list(ACTIONS), weights=list(ACTIONS.values()))[0]


def new_order(action: str, price: Price) -> Mapping[str, Any]:
    """The body of an order, without its clientOrderId."""
    price.wander()
    side = random.choice(("BUY", "SELL"))
    quantity = price.quantity()
    order: dict[str, Any] = {"symbol": price.symbol, "side": side, "quantity": str(quantity)}
    away = -1 if side == "BUY" else 1
    if action == "market":
        return _market_order(order, price, quantity)
    if action == "quote":
        # Rests beside the mid; what is far away waits for the price to come.
        distance = away * random.expovariate(1 / SPREAD)
        return {**order, "type": "LIMIT", "price": price.near(distance), "timeInForce": "GTC"}
    # Takes what others quoted: with "sweep" only what is there, with "take" the rest is quoted.
    distance = -away * SPREAD
    kind = random.choice(("IOC", "IOC", "FOK")) if action == "sweep" else "GTC"
    return {**order, "type": "LIMIT", "price": price.near(distance), "timeInForce": kind}


def _market_order(order: dict[str, Any], price: Price, quantity: Decimal) -> Mapping[str, Any]:
    order["type"] = "MARKET"
    if order["side"] == "BUY" and random.random() < 0.5:
        # A budget in quote instead of a quantity.
        del order["quantity"]
        order["quoteQuantity"] = str(_steps(quantity * Decimal(price.mid), Decimal("0.01")))
    return order


def _steps(value: Decimal, step: Decimal) -> Decimal:
    """The value as whole steps, one at least."""
    return max(round(value / step), 1) * step
