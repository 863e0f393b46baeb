"""The order form."""

from decimal import Decimal
from typing import Annotated, Any

from base.web.errors import ExchangeError, InvalidField, refuse
from base.web.forms import Form
from base.web.rules import FLAG, IDENTIFIER, POSITIVE, items, one_of, text
from core.types import OrderType, SelfTradePrevention, Side, TimeInForce
from markets.models import SYMBOL_PATTERN, Market
from markets.services import find_market
from orders import terms
from orders.answers import CLIENT_ORDER_ID_PATTERN
from orders.terms import OrderTerms

BATCH_LIMIT = 100


class OrderForm(Form):
    """A new order. What its fields owe to each other is in orders.terms."""

    symbol: Annotated[str, text(SYMBOL_PATTERN, 33)]
    side: Annotated[str, one_of(Side)]
    type: Annotated[str, one_of(OrderType)]
    quantity: Annotated[Decimal | None, POSITIVE] = None
    quote_quantity: Annotated[Decimal | None, POSITIVE] = None
    price: Annotated[Decimal | None, POSITIVE] = None
    time_in_force: Annotated[str | None, one_of(TimeInForce)] = None
    post_only: Annotated[bool | None, FLAG] = None
    client_order_id: Annotated[str | None, text(CLIENT_ORDER_ID_PATTERN, 64, null=True)] = None
    self_trade_prevention: Annotated[str | None, one_of(SelfTradePrevention)] = None
    # Older clients send it: accepted if it is the caller's own.
    user_id: Annotated[int | None, IDENTIFIER] = None


class BatchForm(Form):
    """Many new orders."""

    orders: Annotated[list[Any], items(BATCH_LIMIT, OrderForm)]


def read_order(data: dict[str, Any]) -> tuple[Market, OrderTerms, int | None]:
    """The market, the order and the userId that was sent. Raises InvalidField or ValidationFailed.

    What comes back is well formed; place_order checks whether it fits the market.
    """
    values, errors = OrderForm.parse(data)
    errors += terms.missing_errors(values, set(data))
    errors += terms.shape_errors(values)
    market = find_market(values["symbol"]) if "symbol" in values else None
    if market is None and "symbol" in values:
        errors.append(InvalidField("symbol", "MARKET_NOT_FOUND", f"there is no market {values['symbol']}"))
    if errors:
        # The market's rules are named along with others; alone they are checked once the order is known to be new.
        refuse(errors + (terms.market_errors(values, market) if market is not None else []))
    assert market is not None
    user_id = values.pop("user_id", None)
    del values["symbol"]
    return market, OrderTerms(**values), user_id


def read_batch(data: dict[str, Any]) -> list[tuple[Market, OrderTerms, int | None] | ExchangeError]:
    """Each order of a batch as read_order has it, or its refusal. Raises InvalidField or ValidationFailed."""
    return [_read_item(position, item) for position, item in enumerate(BatchForm.read(data).orders)]


def _read_item(position: int, item: Any) -> tuple[Market, OrderTerms, int | None] | ExchangeError:
    if not isinstance(item, dict):
        field = f"orders[{position}]"
        return InvalidField(field, "OBJECT_REQUIRED", f"{field} must be an object")
    try:
        return read_order(item)
    except ExchangeError as error:
        return error
