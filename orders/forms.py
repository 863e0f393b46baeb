"""The order form."""

from typing import Any

from base.web.errors import ExchangeError, InvalidField, refuse
from base.web.forms import Choice, DecimalText, Flag, Form, Identifier, Items, Text
from core.types import OrderType, SelfTradePrevention, Side, TimeInForce
from markets.models import SYMBOL_PATTERN, Market
from markets.services import find_market
from orders import terms
from orders.terms import OrderTerms

BATCH_LIMIT = 100
CLIENT_ORDER_ID_PATTERN = r"[A-Za-z0-9._:-]{1,64}"


class OrderForm(Form):
    """POST /orders."""

    symbol = Text(pattern=SYMBOL_PATTERN, limit=33)
    side = Choice([side.value for side in Side])
    type = Choice([kind.value for kind in OrderType])
    quantity = DecimalText(required=False)
    quote_quantity = DecimalText(required=False)
    price = DecimalText(required=False)
    time_in_force = Choice([tif.value for tif in TimeInForce], required=False)
    post_only = Flag(required=False)
    client_order_id = Text(pattern=CLIENT_ORDER_ID_PATTERN, limit=64, required=False, allow_null=True)
    self_trade_prevention = Choice([mode.value for mode in SelfTradePrevention], required=False)
    # Older clients send it: accepted if it is the caller's own.
    user_id = Identifier(required=False)


class BatchForm(Form):
    """POST /orders/batch."""

    orders = Items(limit=BATCH_LIMIT, of=OrderForm)


def read_order(data: dict[str, Any]) -> tuple[Market, OrderTerms, int | None]:
    """The market, the order and the userId that was sent. Raises InvalidField or ValidationFailed.

    What comes back is well formed; whether it fits the market is asked by place_order.
    """
    values, errors = OrderForm.parse(data)
    errors += terms.missing_errors(values, set(data))
    errors += terms.shape_errors(values)
    market = find_market(values["symbol"]) if "symbol" in values else None
    if market is None and "symbol" in values:
        errors.append(InvalidField("symbol", "MARKET_NOT_FOUND", f"there is no market {values['symbol']}"))
    if errors:
        # The market's rules are told along with others; alone they are asked once it is known that the order is new.
        refuse(errors + (terms.market_errors(values, market) if market is not None else []))
    assert market is not None
    user_id = values.pop("user_id", None)
    del values["symbol"]
    return market, OrderTerms(**values), user_id


def read_batch(data: dict[str, Any]) -> list[tuple[Market, OrderTerms, int | None] | ExchangeError]:
    """Each order of a batch as read_order has it, or its refusal. Raises InvalidField or ValidationFailed."""
    return [_read_item(position, item) for position, item in enumerate(BatchForm.read(data)["orders"])]


def _read_item(position: int, item: Any) -> tuple[Market, OrderTerms, int | None] | ExchangeError:
    if not isinstance(item, dict):
        field = f"orders[{position}]"
        return InvalidField(field, "OBJECT_REQUIRED", f"{field} must be an object")
    try:
        return read_order(item)
    except ExchangeError as error:
        return error
