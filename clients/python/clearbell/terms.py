"""What one asks for: orders, each with the key under which it stays one order however often it is sent."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Literal

Amount = Decimal | str | int
Side = Literal["BUY", "SELL"]
SIDES: tuple[Side, Side] = ("BUY", "SELL")
OrderType = Literal["LIMIT", "MARKET", "STOP", "TAKE_PROFIT", "STOP_LIMIT", "TAKE_PROFIT_LIMIT", "TRAILING_STOP"]
TimeInForce = Literal["GTC", "GTD", "IOC", "FOK"]
SelfTradePrevention = Literal["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"]


def new_key() -> str:
    """A client order id that nobody has used."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """An order to be placed. One `NewOrder` is one order: to place it again asks what became of it.

    `client_order_id` is drawn if it is not given.
    """

    symbol: str
    side: Side
    type: OrderType = "LIMIT"
    quantity: Amount | None = None
    price: Amount | None = None
    quote_quantity: Amount | None = None
    stop_price: Amount | None = None
    trailing_offset: Amount | None = None
    time_in_force: TimeInForce | None = None
    expires_at: datetime | None = None
    post_only: bool | None = None
    display_quantity: Amount | None = None
    self_trade_prevention: SelfTradePrevention | None = None
    client_order_id: str = field(default_factory=new_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOco:
    """A target and a stop of which one cancels the other. Its key has 58 characters at most."""

    symbol: str
    side: Side
    quantity: Amount
    price: Amount
    stop_price: Amount
    stop_limit_price: Amount | None = None
    client_order_id: str = field(default_factory=new_key)


def limit(symbol: str, side: Side, quantity: Amount, price: Amount, **more: Any) -> NewOrder:
    """A LIMIT order; `more` are other fields of `NewOrder`, such as `post_only=True`."""
    return NewOrder(symbol=symbol, side=side, quantity=quantity, price=price, **more)


def market(
    symbol: str, side: Side, quantity: Amount | None = None, *, quote_quantity: Amount | None = None, **more: Any
) -> NewOrder:
    """A MARKET order, of a quantity or of an amount of quote to spend."""
    return NewOrder(symbol=symbol, side=side, type="MARKET", quantity=quantity, quote_quantity=quote_quantity, **more)


def body_of(order: NewOrder | NewOco) -> dict[str, Any]:
    """As the exchange reads it."""
    return terms_of({each.name: getattr(order, each.name) for each in fields(order)})


def terms_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """As `plain`, where whole numbers are amounts."""
    return {
        name: str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in plain(values).items()
    }


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Names in camel case, amounts and times as text, None left out."""
    return {camel(name): json_value(value) for name, value in values.items() if value is not None}


def json_value(value: Any) -> Any:
    """A value as it stands in JSON. An amount is never a float: its digits would be others than those meant."""
    if isinstance(value, float):
        raise TypeError(f"amounts are Decimal, text or whole numbers, not the float {value!r}")
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError(f"{value} has no time zone")
        return value.isoformat()
    return value


@cache
def camel(name: str) -> str:
    """The name of a field in JSON."""
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)
