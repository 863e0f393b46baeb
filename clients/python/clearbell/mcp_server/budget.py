"""How much a session may trade, and under which key: both are decided before anything is sent."""

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from ..answers.market import Depth, Market
from ..terms import NewOrder, body_of

LONGEST_INTENT = 500
PREFIX = "mcp-"


class OverBudget(Exception):
    """The session's limit does not allow it; nothing was sent."""


@dataclass
class Budget:
    """By quote currency what may be traded in this session. A currency without a limit is not traded at all.

    What was counted stays counted, whatever becomes of the order, unless the exchange refused it.
    """

    limits: Mapping[str, Decimal] = field(default_factory=dict)
    _counted: dict[str, tuple[str, Decimal]] = field(default_factory=dict)

    def count(self, key: str, currency: str, amount: Decimal) -> None:
        """Count an order once, whatever how often it is placed. Raises OverBudget."""
        if key in self._counted:
            return
        limit = self.limits.get(currency)
        if limit is None:
            raise OverBudget(f"this session may not trade in {currency}: no limit was set for it")
        left = limit - self.spent(currency)
        if amount > left:
            raise OverBudget(f"the order counts as {amount:f} {currency}, and {left:f} of the limit are left")
        self._counted[key] = currency, amount

    def forget(self, key: str) -> None:
        """The order was refused: nothing was spent."""
        self._counted.pop(key, None)

    def spent(self, currency: str) -> Decimal:
        return sum((amount for each, amount in self._counted.values() if each == currency), Decimal(0))

    def left(self) -> dict[str, Decimal]:
        return {currency: limit - self.spent(currency) for currency, limit in self.limits.items()}


def key_of(intent: str, order: NewOrder) -> str:
    """The client order id: of the same intent and terms the same, however they are written, and in every session."""
    words = " ".join(_seen(unicodedata.normalize("NFKC", intent)).casefold().split())
    terms = body_of(order)
    del terms["clientOrderId"]
    if order.type == "LIMIT":
        terms.setdefault("timeInForce", "GTC")
    amounts = {name: f"{Decimal(terms[name]).normalize():f}" for name in AMOUNTS if name in terms}
    text = json.dumps([words, {**terms, **amounts}], sort_keys=True)
    return PREFIX + hashlib.sha256(text.encode()).hexdigest()[:40]


def _seen(text: str) -> str:
    """Without what is not seen, such as blanks without a width; a line's end is a blank."""
    return "".join(each for each in text if each.isspace() or not unicodedata.category(each).startswith("C"))


AMOUNTS = ("quantity", "price", "quoteQuantity")


def worth(order: NewOrder, market: Market, depth: Depth) -> Decimal:
    """What an order counts as, in quote: a BUY what it costs at the most, its fee included; a SELL what it brings.

    Raises OverBudget for an order of which that is not known before.
    """
    rate = max(market.maker_fee_rate, market.taker_fee_rate, Decimal(0))
    if order.quote_quantity is not None:
        if (order.type, order.side, order.quantity) != ("MARKET", "BUY", None):
            raise OverBudget("a quote_quantity belongs to a market buy without a quantity")
        # The fee is paid out of it.
        return Decimal(order.quote_quantity)
    if order.quantity is None:
        raise OverBudget("an order has a quantity, or a quote_quantity")
    if order.side == "BUY":
        if order.price is None:
            raise OverBudget("what a market buy of a quantity costs is not known before: name its quote_quantity")
        return Decimal(order.quantity) * Decimal(order.price) * (1 + rate)
    # It is sold at its own price or at a better one that is there.
    prices = [Decimal(price) for price in (order.price, depth.best_bid) if price is not None]
    if not prices:
        raise OverBudget("nobody buys, so what the sale brings is not known before")
    return Decimal(order.quantity) * max(prices)
