"""Orders, fills and trades as Binance's clients see them, made of what our own clients see.

Both REST and the WebSocket streams have the native object at hand, so nothing here reads the database. Amounts have
eight digits after the point, as there; times are milliseconds since 1970.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from binance_api.symbols import binance_name
from core.types import OrderType, Reason, Status, TimeInForce
from marketdata.answers import Trade
from orders.answers import Fill, Order

# What an order without a group has as its list.
NO_LIST = -1
# An order that has no client order id is called by its own id.
UNNAMED = "id-"

NEW, PARTIALLY_FILLED, FILLED = "NEW", "PARTIALLY_FILLED", "FILLED"
CANCELED, REJECTED, EXPIRED, EXPIRED_IN_MATCH = "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH"
# Binance knows the word and does not use it: a cancel that its worker has not taken up yet.
PENDING_CANCEL = "PENDING_CANCEL"

_STATUSES = {
    Status.PENDING: NEW,
    Status.WAITING: NEW,
    Status.TRIGGERED: NEW,
    Status.OPEN: NEW,
    Status.FILLED: FILLED,
    Status.CANCELLED: CANCELED,
    Status.REJECTED: EXPIRED,
    Status.EXPIRED: EXPIRED,
    Status.FAILED: REJECTED,
}
# What closes an order that the exchange closed and not its owner.
_BY_REASON = {
    (Status.CANCELLED, Reason.SELF_TRADE): EXPIRED_IN_MATCH,
    (Status.CANCELLED, Reason.OCO): EXPIRED,
    (Status.CANCELLED, Reason.MARKET_DELISTED): EXPIRED,
    **{
        (Status.REJECTED, reason): REJECTED
        for reason in (
            *(Reason.WOULD_TAKE, Reason.INSUFFICIENT_FUNDS, Reason.NOTHING_TO_REPLACE, Reason.NOT_IN_AUCTION),
            *(Reason.MARKET_HALTED, Reason.MARKET_DELISTED, Reason.SIMULATED),
        )
    },
}
_TYPES = {
    OrderType.LIMIT: "LIMIT",
    OrderType.MARKET: "MARKET",
    OrderType.STOP: "STOP_LOSS",
    OrderType.STOP_LIMIT: "STOP_LOSS_LIMIT",
    OrderType.TAKE_PROFIT: "TAKE_PROFIT",
    OrderType.TAKE_PROFIT_LIMIT: "TAKE_PROFIT_LIMIT",
    # Where it stands is its stop price; that it moves has no word there, because theirs moves by a part of the price.
    OrderType.TRAILING_STOP: "STOP_LOSS",
}
LIMIT_MAKER = "LIMIT_MAKER"


def status_name(status: str, reason: str | None, is_active: bool) -> str:
    """An order's status. One that was filled in part and whose rest was closed is EXPIRED there."""
    if status == Status.PARTIALLY_FILLED:
        return PARTIALLY_FILLED if is_active else EXPIRED
    known = Status(status)
    return _STATUSES[known] if reason is None else _BY_REASON.get((known, Reason(reason)), _STATUSES[known])


def type_name(order_type: str, is_post_only: bool) -> str:
    return LIMIT_MAKER if is_post_only and order_type == OrderType.LIMIT else _TYPES[OrderType(order_type)]


def time_in_force(order_type: str, given: str) -> str:
    """What does not rest has none of its own, and GTC is shown there."""
    takes_one = order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT)
    return given if takes_one else TimeInForce.GTC.value


def client_order_id(order_id: int, given: str | None) -> str:
    return given or f"{UNNAMED}{order_id}"


def amount(value: str | Decimal | None) -> str:
    """With eight digits; of what is not there, zero."""
    if value is None:
        return "0.00000000"
    return f"{value if isinstance(value, Decimal) else Decimal(value):.8f}"


def milliseconds(instant: str | datetime) -> int:
    """Since 1970, of an instant as our answers have it."""
    at = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    whole = at.replace(microsecond=0)
    return int(whole.timestamp()) * 1000 + at.microsecond // 1000


def order_terms(shown: Mapping[str, Any]) -> dict[str, Any]:
    """What all answers about an order have of it, from its native state."""
    is_active = shown["active"]
    terms = {
        "symbol": binance_name(shown["symbol"]),
        "orderId": shown["orderId"],
        "orderListId": shown["groupId"] or NO_LIST,
        "clientOrderId": client_order_id(shown["orderId"], shown["clientOrderId"]),
        "price": amount(shown["price"]),
        # Of an order by quote quantity what it came to.
        "origQty": amount(shown["quantity"] or shown["filledQuantity"]),
        "executedQty": amount(shown["filledQuantity"]),
        "origQuoteOrderQty": amount(shown["quoteQuantity"]),
        "cummulativeQuoteQty": amount(shown["filledQuote"]),
        "status": status_name(shown["status"], shown["reason"], is_active),
        "timeInForce": time_in_force(shown["type"], shown["timeInForce"]),
        "type": type_name(shown["type"], shown["postOnly"]),
        "side": shown["side"],
    }
    if Decimal(shown["preventedQuantity"]):
        terms["preventedQuantity"] = amount(shown["preventedQuantity"])
    return terms


def working_time(shown: Mapping[str, Any]) -> int:
    """When it came to the book; -1 of a stop that waits."""
    if shown["status"] == Status.WAITING:
        return -1
    return milliseconds(shown["triggeredAt"] or shown["createdAt"])


def order(shown: Order, prevention: str) -> dict[str, Any]:
    """An order as it is read. `prevention` is its mode of self-trade prevention."""
    return {
        **order_terms(shown),
        "stopPrice": amount(shown["stopPrice"]),
        "icebergQty": amount(shown["displayQuantity"]),
        "time": milliseconds(shown["createdAt"]),
        "updateTime": milliseconds(shown["updatedAt"]),
        "isWorking": shown["status"] != Status.WAITING,
        "workingTime": working_time(shown),
        "selfTradePreventionMode": prevention,
    }


def acknowledged(shown: Mapping[str, Any]) -> dict[str, Any]:
    """The shortest answer to a new order."""
    return {
        "symbol": binance_name(shown["symbol"]),
        "orderId": shown["orderId"],
        "orderListId": shown["groupId"] or NO_LIST,
        "clientOrderId": client_order_id(shown["orderId"], shown["clientOrderId"]),
        "transactTime": milliseconds(shown["updatedAt"]),
    }


def placed(shown: Order, prevention: str, fills: Iterable[Fill] | None = None) -> dict[str, Any]:
    """What became of a new order; with its fills where these are wanted."""
    answer = {**acknowledged(shown), **order_terms(shown), "workingTime": working_time(shown)}
    for name, value in (("stopPrice", shown["stopPrice"]), ("icebergQty", shown["displayQuantity"])):
        if value is not None:
            answer[name] = amount(value)
    answer["selfTradePreventionMode"] = prevention
    if fills is not None:
        answer["fills"] = [fill_of_order(each) for each in fills]
    return answer


def cancelled(shown: Order, prevention: str, cancel_id: str) -> dict[str, Any]:
    """What became of an order that was to be cancelled; `cancel_id` is what the client calls the cancel."""
    terms = order_terms(shown)
    name = terms.pop("clientOrderId")
    answer = {**terms, "origClientOrderId": name, "clientOrderId": cancel_id}
    if shown["active"]:
        answer["status"] = PENDING_CANCEL
    return answer | {"transactTime": milliseconds(shown["updatedAt"]), "selfTradePreventionMode": prevention}


def trade_number(trade_id: str) -> int:
    """The number of a trade in its market: what follows the symbol in the native id."""
    return int(trade_id.rpartition("-")[2])


def fill_of_order(fill: Fill) -> dict[str, Any]:
    return {
        "price": amount(fill["price"]),
        "qty": amount(fill["quantity"]),
        "commission": amount(fill["fee"]),
        "commissionAsset": fill["feeCurrency"],
        "tradeId": trade_number(fill["tradeId"]),
    }


def own_trade(fill: Fill, list_id: int | None) -> dict[str, Any]:
    """A fill in the list of one's own trades."""
    return {
        "symbol": binance_name(fill["symbol"]),
        "id": trade_number(fill["tradeId"]),
        "orderId": fill["orderId"],
        "orderListId": list_id or NO_LIST,
        "price": amount(fill["price"]),
        "qty": amount(fill["quantity"]),
        "quoteQty": amount(Decimal(fill["price"]) * Decimal(fill["quantity"])),
        "commission": amount(fill["fee"]),
        "commissionAsset": fill["feeCurrency"],
        "time": milliseconds(fill["createdAt"]),
        "isBuyer": fill["side"] == "BUY",
        "isMaker": fill["role"] == "MAKER",
        "isBestMatch": True,
    }


def public_trade(trade: Trade) -> dict[str, Any]:
    return {
        "id": trade["sequence"],
        "price": amount(trade["price"]),
        "qty": amount(trade["quantity"]),
        "quoteQty": amount(Decimal(trade["price"]) * Decimal(trade["quantity"])),
        "time": milliseconds(trade["createdAt"]),
        "isBuyerMaker": trade["takerSide"] == "SELL",
        "isBestMatch": True,
    }


def aggregate_trade(trade: Trade) -> dict[str, Any]:
    """Each trade is an aggregate of its own, with the trade's number."""
    number = trade["sequence"]
    return {
        "a": number,
        "p": amount(trade["price"]),
        "q": amount(trade["quantity"]),
        "f": number,
        "l": number,
        "T": milliseconds(trade["createdAt"]),
        "m": trade["takerSide"] == "SELL",
        "M": True,
    }
