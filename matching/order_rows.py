"""An order's row as the core's order: which columns the engine reads, and what it makes of them."""

from collections.abc import Sequence
from datetime import UTC
from functools import lru_cache
from typing import Any

from core.money import stored_units, units_or_none
from core.types import Order as CoreOrder
from core.types import OrderType, Phase, SelfTradePrevention, Side, Status, TimeInForce
from matching.snapshots.parts import Form
from orders.models import Order
from orders.representation import INFO_COLUMNS, OrderInfo

# What plain orders do not have that are open: all of it is null then.
EXTENDED_COLUMNS = (
    "priority",
    "stop_price",
    "trailing_offset",
    "triggered_at",
    "display_quantity",
    "tip",
    "expires_at",
    "group_id",
    "prevented_quantity",
    "prevented_notional",
    "placed_price",
    "placed_quantity",
    "closed_at",
    "meets_id",
)
_PLAIN = (None,) * len(EXTENDED_COLUMNS)
CORE_COLUMNS = (
    "id",
    "user_id",
    "side",
    "type",
    "price",
    "quantity",
    "time_in_force",
    "post_only",
    "self_trade_prevention",
    "maker_fee_rate",
    "taker_fee_rate",
    "fee_in_quote",
    "quote_quantity",
    "spend_limit",
    "price_band",
    "protection_price",
    "filled_quantity",
    "filled_notional",
    "frozen",
    "status",
    "sequence",
    *INFO_COLUMNS,
    *EXTENDED_COLUMNS,
)
# Dictionaries, because to call an enumeration with a word takes five times as long, and each order needs five words.
_SIDES = {str(side): side for side in Side}
_TYPES = {str(kind): kind for kind in OrderType}
_TIMES_IN_FORCE = {str(tif): tif for tif in TimeInForce}
_PREVENTIONS = {str(mode): mode for mode in SelfTradePrevention}
_STATUSES = {str(status): status for status in Status}


# Cached, because all orders together have a handful of rates.
_rate = lru_cache(maxsize=256)(stored_units)


def columns(table: str) -> str:
    """CORE_COLUMNS as SQL, of the orders' table under this alias."""
    fields = [field for field in Order._meta.concrete_fields if field.attname in CORE_COLUMNS]
    names = {field.attname: field.column for field in fields}
    return ", ".join(f"{table}.{names[name]}" for name in CORE_COLUMNS)


def core_order(row: tuple[Any, ...]) -> CoreOrder:
    """The core's order, from a row of CORE_COLUMNS as the database's driver gives it."""
    (
        order_id,
        user_id,
        side,
        kind,
        price,
        quantity,
        time_in_force,
        post_only,
        self_trade_prevention,
        maker_fee_rate,
        taker_fee_rate,
        fee_in_quote,
        quote_quantity,
        spend_limit,
        price_band,
        protection_price,
        filled_quantity,
        filled_notional,
        frozen,
        status,
        sequence,
        client_order_id,
        correlation_id,
        created_at,
        placed_by_id,
        *extended,
    ) = row
    order = CoreOrder(
        id=order_id,
        user_id=user_id,
        side=_SIDES[side],
        type=_TYPES[kind],
        price=units_or_none(price),
        quantity=units_or_none(quantity),
        time_in_force=_TIMES_IN_FORCE[time_in_force],
        post_only=bool(post_only),
        self_trade_prevention=_PREVENTIONS[self_trade_prevention],
        maker_fee_rate=_rate(maker_fee_rate),
        taker_fee_rate=_rate(taker_fee_rate),
        fee_in_quote=bool(fee_in_quote),
        spend_limit=units_or_none(spend_limit if quote_quantity is None else quote_quantity),
        price_band=units_or_none(price_band),
        protection_price=units_or_none(protection_price),
        filled=stored_units(filled_quantity),
        filled_notional=stored_units(filled_notional),
        frozen=stored_units(frozen),
        status=_STATUSES[status],
        sequence=sequence,
        info=OrderInfo(client_order_id, correlation_id, created_at, placed_by_id),
    )
    if tuple(extended) != _PLAIN:
        _extend(order, extended)
    return order


def _extend(order: CoreOrder, extended: Sequence[Any]) -> None:
    """Set what plain orders do not have."""
    priority, stop_price, offset, triggered_at, display, tip, expires_at, group_id, prevented, notional, *rest = (
        extended
    )
    placed_price, placed_quantity, closed_at, order.meets = rest
    order.is_extended = True
    order.priority, order.group_id = priority, group_id
    order.stop_price, order.trailing_offset = units_or_none(stop_price), units_or_none(offset)
    order.display_quantity, order.tip = units_or_none(display), units_or_none(tip)
    order.prevented, order.prevented_notional = units_or_none(prevented) or 0, units_or_none(notional) or 0
    if order.quantity is not None:
        order.quantity -= order.prevented
    if triggered_at is not None:
        order.is_triggered, order.triggered_at = True, triggered_at.replace(tzinfo=UTC)
    if expires_at is not None:
        order.expires_at = expires_at.replace(tzinfo=UTC)
    if placed_price is not None:
        order.placed = (stored_units(placed_price), stored_units(placed_quantity))
    if closed_at is not None:
        # Of an amend that came too late.
        order.phase, order.closed_at = Phase.CLOSED, closed_at.replace(tzinfo=UTC)


# How snapshots hold an order, and what makes one of it.
FORM = Form(CORE_COLUMNS, core_order)
