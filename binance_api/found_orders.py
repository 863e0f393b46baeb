"""The order that a client names: by its id, or by what the client calls it."""

import secrets
import string

from base.web.errors import OrderNotFound
from binance_api.errors import NO_ORDER, Refused
from binance_api.parameters import Parameter, Values, number, text
from binance_api.representation import UNNAMED
from markets.models import Market
from orders.ids import order_ids
from orders.models import Order
from orders.services import find_order, find_order_named

BY_ID, BY_NAME = "orderId", "origClientOrderId"
# What a client may look for: also names that our own API takes and Binance does not.
ANY_NAME = text(r"^[A-Za-z0-9._:-]{1,64}$")
WHICH = (Parameter(BY_ID, number), Parameter(BY_NAME, ANY_NAME))
_LETTERS = string.ascii_letters + string.digits
_LENGTH = 22


def named_order(
    user_id: int,
    market: Market,
    asked: Values,
    *,
    by_id: str = BY_ID,
    by_name: str = BY_NAME,
    missing: tuple[int, str] = (-2013, NO_ORDER),
) -> Order:
    """The user's order, in that market, by one of the two or by both. Raises Refused: `missing` where there is none."""
    order_id, name = asked[by_id], asked[by_name]
    if order_id is None and name is None:
        raise Refused(-1102, f"Param '{by_name}' or '{by_id}' must be sent, but both were empty/null!")
    try:
        order = _found(user_id, order_id, name)
    except OrderNotFound as error:
        raise Refused(*missing) from error
    if order.market_id != market.symbol:
        raise Refused(*missing)
    return order


def _found(user_id: int, order_id: int | None, name: str | None) -> Order:
    """Raises OrderNotFound."""
    if order_id is not None:
        if not order_ids.may_exist(order_id):
            raise OrderNotFound("there is no such order")
        order = find_order(user_id, order_id)
        if name not in (None, order.client_order_id, f"{UNNAMED}{order.id}"):
            raise OrderNotFound("the two names are not of one order")
        return order
    assert name is not None
    try:
        return find_order_named(user_id, name)
    except OrderNotFound:
        # What an order without a name is called here.
        own = name.removeprefix(UNNAMED)
        if own == name or not own.isdecimal() or len(own) > 18:
            raise
        return _found(user_id, int(own), None)


def new_name() -> str:
    """What a cancel or a list is called where its client gives it no name."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
