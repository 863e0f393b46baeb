"""Two orders of which one cancels the other, as Binance's clients send them: by the older call and by the newer one.

The newer one names what is above and what is below the price; with us one of them is a limit order at a better price,
and the other a stop at a worse one.
"""

from typing import Any, NamedTuple

from binance_api.errors import Refused, missing
from binance_api.order_form import NEW_ID, PREVENTION, RESPONSE, SIDE, TIME_IN_FORCE, trailing
from binance_api.parameters import SYMBOL, Parameter, Values, amount, amount_or_zero, not_together, number, word
from core.types import Side, TimeInForce
from orders.oco import OcoForm

_SHARED = (
    *(SYMBOL, SIDE),
    Parameter("listClientOrderId", NEW_ID),
    Parameter("quantity", amount, is_required=True),
    *(RESPONSE, PREVENTION),
)
OLDER = (
    *_SHARED,
    Parameter("price", amount, is_required=True),
    Parameter("stopPrice", amount, is_required=True),
    Parameter("stopLimitPrice", amount),
    Parameter("stopLimitTimeInForce", TIME_IN_FORCE),
    *(Parameter(name, NEW_ID) for name in ("limitClientOrderId", "stopClientOrderId")),
    *(Parameter(name, amount_or_zero) for name in ("limitIcebergQty", "stopIcebergQty")),
    Parameter("trailingDelta", number),
)
LIMIT_MAKER = "LIMIT_MAKER"
_TYPES = (
    *(LIMIT_MAKER, "STOP_LOSS", "STOP_LOSS_LIMIT"),
    *("TAKE_PROFIT", "TAKE_PROFIT_LIMIT"),
)
_TYPE = word({name: name for name in _TYPES}, Refused(-1116, "Invalid orderType."))


def _of_leg(place: str) -> tuple[Parameter, ...]:
    return (
        Parameter(f"{place}Type", _TYPE, is_required=True),
        Parameter(f"{place}ClientOrderId", NEW_ID),
        Parameter(f"{place}IcebergQty", amount_or_zero),
        *(Parameter(f"{place}{name}", amount) for name in ("Price", "StopPrice")),
        Parameter(f"{place}TrailingDelta", number),
        Parameter(f"{place}TimeInForce", TIME_IN_FORCE),
    )


NEWER = (*_SHARED, *_of_leg("above"), *_of_leg("below"))


class Wanted(NamedTuple):
    """A group to place, and what its client calls the legs, if it calls them anything."""

    form: OcoForm
    limit_id: str | None
    stop_id: str | None


def read_older(asked: Values) -> Wanted:
    """Raises Refused."""
    if asked["trailingDelta"] is not None:
        raise trailing()
    _refuse_icebergs(asked["limitIcebergQty"], asked["stopIcebergQty"])
    if asked["stopLimitPrice"] is not None and asked["stopLimitTimeInForce"] is None:
        raise missing("stopLimitTimeInForce")
    _refuse_time(asked["stopLimitTimeInForce"])
    prices = {"price": asked["price"], "stop_price": asked["stopPrice"], "stop_limit_price": asked["stopLimitPrice"]}
    return Wanted(_form(asked, prices), asked["limitClientOrderId"], asked["stopClientOrderId"])


def read_newer(asked: Values) -> Wanted:
    """Raises Refused."""
    limit, stop = ("above", "below") if asked["side"] == Side.SELL else ("below", "above")
    _refuse_types(asked["side"], asked[f"{limit}Type"], asked[f"{stop}Type"])
    if asked["aboveTrailingDelta"] is not None or asked["belowTrailingDelta"] is not None:
        raise trailing()
    _refuse_icebergs(asked["aboveIcebergQty"], asked["belowIcebergQty"])
    is_limited = asked[f"{stop}Type"] == "STOP_LOSS_LIMIT"
    needed = (f"{limit}Price", f"{stop}StopPrice", *((f"{stop}Price", f"{stop}TimeInForce") if is_limited else ()))
    for name in needed:
        if asked[name] is None:
            raise missing(name)
    for name in (f"{limit}StopPrice", f"{limit}TimeInForce", *(() if is_limited else (f"{stop}Price",))):
        if asked[name] is not None:
            raise Refused(-1106, f"Parameter '{name}' sent when not required.")
    _refuse_time(asked[f"{stop}TimeInForce"])
    prices = {
        "price": asked[f"{limit}Price"],
        "stop_price": asked[f"{stop}StopPrice"],
        "stop_limit_price": asked[f"{stop}Price"],
    }
    return Wanted(_form(asked, prices), asked[f"{limit}ClientOrderId"], asked[f"{stop}ClientOrderId"])


def _refuse_types(side: str, limit: str, stop: str) -> None:
    """`limit` is what stands on the better side of the price, `stop` what stands on the worse one."""
    is_sale = side == Side.SELL
    if limit == stop == LIMIT_MAKER:
        raise Refused(-1168, "At least one OCO order must be contingent.")
    if stop == LIMIT_MAKER:
        number, where = (-1166, "sell OCO must be above") if is_sale else (-1165, "buy OCO must be below")
        raise Refused(number, f"A limit order in a {where}.")
    if limit != LIMIT_MAKER or stop not in ("STOP_LOSS", "STOP_LOSS_LIMIT"):
        raise Refused(-1158, "Order type not supported in OCO.")


def _form(asked: Values, prices: dict[str, Any]) -> OcoForm:
    if asked["side"] == Side.BUY and prices["stop_limit_price"] is None:
        raise missing("stopLimitPrice")
    mode = asked["selfTradePreventionMode"]
    if mode not in (None, asked["symbol"].self_trade_prevention):
        raise not_together("a list has its market's prevention mode")
    named = {"symbol": asked["symbol"].symbol, "side": asked["side"], "quantity": asked["quantity"]}
    return OcoForm.model_construct(**named, **prices, client_order_id=asked["listClientOrderId"])


def _refuse_icebergs(*quantities: Any) -> None:
    if any(quantities):
        raise Refused(-2010, "Iceberg orders are not supported in a list.")


def _refuse_time(given: str | None) -> None:
    """What the stop becomes rests."""
    if given not in (None, TimeInForce.GTC.value):
        raise not_together("in a list timeInForce is GTC")
