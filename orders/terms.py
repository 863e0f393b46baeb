"""An order from what was asked for to the row that may be stored: what it reserves, and what the market says to it."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from base.storage.fields import plain_or_none
from base.web.errors import ClientOrderIdReused, MarketNotTrading, refuse
from commands.backlog import refuse_when_busy
from markets.models import Market, MarketStatus
from orders.correlation import new_correlation_id
from orders.models import Order
from orders.rules import market_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """An order as its user asked for it: well formed."""

    side: str
    type: str
    price: Decimal | None = None
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    time_in_force: str = "GTC"
    post_only: bool = False
    client_order_id: str | None = None
    self_trade_prevention: str | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """An order that is stored; `replayed` if it had been before, under the same client order id."""

    order: Order
    replayed: bool


def draft_order(user_id: int, market: Market, wanted: NewOrder, now: datetime, correlation_id: str = "") -> Order:
    """The row of the order, not stored yet."""
    return Order(
        user_id=user_id,
        # By its key: the market is remembered and shared, and no row may hold on to it.
        market_id=market.symbol,
        side=wanted.side,
        type=wanted.type,
        price=wanted.price,
        quantity=wanted.quantity,
        quote_quantity=wanted.quote_quantity,
        # A MARKET order has no time in force of its own: what cannot trade at once is closed.
        time_in_force="IOC" if wanted.type == "MARKET" else wanted.time_in_force,
        post_only=wanted.post_only,
        client_order_id=wanted.client_order_id,
        self_trade_prevention=wanted.self_trade_prevention or market.self_trade_prevention,
        frozen=_reserved(wanted),
        maker_fee_rate=market.maker_fee_rate,
        taker_fee_rate=market.taker_fee_rate,
        fingerprint=_fingerprint(market.symbol, wanted),
        correlation_id=correlation_id or new_correlation_id(now),
        created_at=now,
        updated_at=now,
    )


def refuse_by_market(market: Market, wanted: NewOrder) -> None:
    """What the market says to a new order. Raises MarketNotTrading, InvalidField, ValidationFailed, MarketBusy."""
    if market.status != MarketStatus.TRADING:
        raise MarketNotTrading(f"{market.symbol} is {market.status}", symbol=market.symbol, status=market.status)
    amounts = {"price": wanted.price, "quantity": wanted.quantity, "quote_quantity": wanted.quote_quantity}
    refuse(market_errors(amounts, market))
    # Last: what breaks a rule need not come again.
    refuse_when_busy(market.symbol)


def replay(earlier: Order, draft: Order) -> Placed:
    """The order that was stored under the draft's client order id. Raises ClientOrderIdReused if it was another one."""
    if earlier.fingerprint != draft.fingerprint:
        key = draft.client_order_id
        raise ClientOrderIdReused(
            f"clientOrderId {key} belongs to another order", field="clientOrderId", orderId=earlier.id
        )
    return Placed(earlier, replayed=True)


def _reserved(wanted: NewOrder) -> Decimal:
    """What is frozen ahead. A MARKET BUY by quantity reserves nothing: nobody knows its price yet."""
    if wanted.side == "SELL":
        assert wanted.quantity is not None
        return wanted.quantity
    if wanted.type == "MARKET":
        return wanted.quote_quantity or Decimal(0)
    assert wanted.price is not None and wanted.quantity is not None
    return wanted.price * wanted.quantity


def _fingerprint(symbol: str, wanted: NewOrder) -> str:
    """A digest of what was asked for, the same however its numbers were written. The names are in order."""
    fields = {
        "client_order_id": wanted.client_order_id,
        "post_only": wanted.post_only,
        "price": plain_or_none(wanted.price),
        "quantity": plain_or_none(wanted.quantity),
        "quote_quantity": plain_or_none(wanted.quote_quantity),
        "self_trade_prevention": wanted.self_trade_prevention,
        "side": wanted.side,
        "symbol": symbol,
        "time_in_force": wanted.time_in_force,
        "type": wanted.type,
    }
    return hashlib.blake2b(json.dumps(fields).encode(), digest_size=16).hexdigest()
