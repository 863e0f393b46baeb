"""A new order as Binance's clients send it, and the terms that it has with us.

Each type says which parameters it must have and which it may have; any other is refused, as there.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from binance_api.errors import Refused, missing
from binance_api.parameters import (
    CLIENT_ORDER_ID,
    SYMBOL,
    Parameter,
    Values,
    amount,
    amount_or_zero,
    not_together,
    number,
    text,
    word,
)
from core.types import OrderType, SelfTradePrevention, Side, TimeInForce
from orders.terms import OrderTerms

ACK, RESULT, FULL = "ACK", "RESULT", "FULL"
LEAST_STRATEGY_TYPE = 1_000_000


class Kind(NamedTuple):
    """One of Binance's types: what it is with us, and the parameters that it needs and takes."""

    name: str
    type: OrderType
    needs: tuple[str, ...]
    takes: tuple[str, ...] = ()
    is_post_only: bool = False
    # Of the answer where the client does not say which it wants.
    answer: str = ACK


_PRICED = ("timeInForce", "quantity", "price")
KINDS = {
    kind.name: kind
    for kind in (
        Kind("LIMIT", OrderType.LIMIT, _PRICED, ("icebergQty",), answer=FULL),
        Kind("MARKET", OrderType.MARKET, (), ("quantity", "quoteOrderQty"), answer=FULL),
        Kind("LIMIT_MAKER", OrderType.LIMIT, ("quantity", "price"), ("icebergQty",), is_post_only=True),
        Kind("STOP_LOSS", OrderType.STOP, ("quantity", "stopPrice")),
        Kind("STOP_LOSS_LIMIT", OrderType.STOP_LIMIT, (*_PRICED, "stopPrice")),
        Kind("TAKE_PROFIT", OrderType.TAKE_PROFIT, ("quantity", "stopPrice")),
        Kind("TAKE_PROFIT_LIMIT", OrderType.TAKE_PROFIT_LIMIT, (*_PRICED, "stopPrice")),
    )
}
# Those of which a type takes some.
_OF_TYPES = ("timeInForce", "quantity", "quoteOrderQty", "price", "stopPrice", "icebergQty")
_TIMES = {name: name for name in (TimeInForce.GTC.value, TimeInForce.IOC.value, TimeInForce.FOK.value)}

_SIDES: Mapping[str, str] = {side.value: side.value for side in Side}
_MODES: Mapping[str, str] = {mode.value: mode.value for mode in SelfTradePrevention}
SIDE = Parameter("side", word(_SIDES, Refused(-1117, "Invalid side.")), is_required=True)
TIME_IN_FORCE = word(_TIMES, Refused(-1115, "Invalid timeInForce."))
NEW_ID = text(CLIENT_ORDER_ID)
_ANSWERS = {name: name for name in (ACK, RESULT, FULL)}
RESPONSE = Parameter("newOrderRespType", word(_ANSWERS, Refused(-1136, "Invalid newOrderRespType")))
PREVENTION = Parameter("selfTradePreventionMode", word(_MODES))


def _strategy_type(name: str, given: str) -> int:
    value = number(name, given)
    if value < LEAST_STRATEGY_TYPE:
        raise Refused(-1134, f"{name} was less than {LEAST_STRATEGY_TYPE}.")
    return value


STRATEGY = (Parameter("strategyId", number), Parameter("strategyType", _strategy_type))
NEW_ORDER = (
    SYMBOL,
    SIDE,
    Parameter("type", word(KINDS, Refused(-1116, "Invalid orderType.")), is_required=True),
    Parameter("timeInForce", TIME_IN_FORCE),
    *(Parameter(name, amount) for name in ("quantity", "quoteOrderQty", "price", "stopPrice")),
    Parameter("icebergQty", amount_or_zero),
    Parameter("trailingDelta", number),
    Parameter("newClientOrderId", NEW_ID),
    *(RESPONSE, PREVENTION),
    *STRATEGY,
)


def read_terms(asked: Values) -> OrderTerms:
    """The terms of a new order. Raises Refused for what its type does not take, and for what it lacks."""
    kind: Kind = asked["type"]
    if asked["trailingDelta"] is not None:
        raise trailing()
    given = {name: asked[name] for name in _OF_TYPES if asked[name] is not None}
    if not given.get("icebergQty"):
        given.pop("icebergQty", None)
    for name in kind.needs:
        if name not in given:
            raise missing(name)
    for name in given:
        if name not in kind.needs and name not in kind.takes:
            raise Refused(-1106, f"Parameter '{name}' sent when not required.")
    if kind.type is OrderType.MARKET:
        _refuse_market(asked)
    if "icebergQty" in given and given.get("timeInForce", TimeInForce.GTC) != TimeInForce.GTC:
        raise not_together("icebergQty is for timeInForce GTC")
    return OrderTerms(**_terms(asked, kind, given))


def trailing() -> Refused:
    """Theirs follows the price by a part of it, ours by an amount: neither can stand for the other."""
    return Refused(-2010, "Trailing stop orders are not supported for this symbol.")


def _refuse_market(asked: Values) -> None:
    quantity, quote = asked["quantity"], asked["quoteOrderQty"]
    if quantity is None and quote is None:
        raise Refused(-1102, "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!")
    if quantity is not None and quote is not None:
        raise not_together()
    if quote is not None and asked["side"] == Side.SELL:
        raise Refused(-2010, "Quote order qty market orders are not supported for SELL: send a quantity.")


def _terms(asked: Values, kind: Kind, given: Values) -> dict[str, Any]:
    return {
        "side": asked["side"],
        "type": kind.type.value,
        "price": given.get("price"),
        "quantity": given.get("quantity"),
        "quote_quantity": given.get("quoteOrderQty"),
        "time_in_force": given.get("timeInForce"),
        "post_only": kind.is_post_only,
        "client_order_id": asked["newClientOrderId"],
        "self_trade_prevention": asked["selfTradePreventionMode"],
        "display_quantity": given.get("icebergQty"),
        "stop_price": given.get("stopPrice"),
    }
