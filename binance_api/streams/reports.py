"""What an account's events are to Binance's clients, made of native order updates. Pure but for the time of sending."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from balances.models import Balance
from binance_api.representation import (
    CANCELED,
    EXPIRED,
    EXPIRED_IN_MATCH,
    NEW,
    REJECTED,
    amount,
    client_order_id,
    milliseconds,
    order_terms,
    trade_number,
    working_time,
)
from binance_api.streams.events import now_ms
from core.types import OrderType, Reason, Status, TimeInForce

TRADE, REPLACED, TRADE_PREVENTION = "TRADE", "REPLACED", "TRADE_PREVENTION"
NONE = "NONE"
# An order that goes without a fill of its own right after it came is reported as new before.
_NEVER_RESTS = (TimeInForce.IOC, TimeInForce.FOK)
_BY_STATUS = {
    CANCELED: CANCELED,
    EXPIRED: EXPIRED,
    REJECTED: REJECTED,
    EXPIRED_IN_MATCH: TRADE_PREVENTION,
}


def execution_reports(update: Mapping[str, Any], prevention: str, *, is_first: bool = True) -> list[dict[str, Any]]:
    """The reports of one order update, in their order. `prevention` is the order's mode of self-trade prevention.

    `is_first`: whether an update that may be the order's first is. A taker's first event is its first fill, or what
    prevention did, and the end of what never rests is its only event. NEW is sent before these, as there. A last
    fill that ends an order with a remainder is a trade, and then the end.
    """
    event = _event(update)
    if event is None:
        return []
    steps: list[tuple[Mapping[str, Any], str]] = [(update, event)]
    if event == TRADE and not update["active"] and update["status"] != Status.FILLED:
        traded = {**update, "status": Status.PARTIALLY_FILLED, "reason": None, "active": True}
        steps = [(traded, TRADE), (_without_trade(update), _by_status(order_terms(update)))]
    if is_first and may_be_first(update):
        steps.insert(0, (_before(update), NEW))
    return [_report(state, order_terms(state), event, prevention) for state, event in steps]


def may_be_first(update: Mapping[str, Any]) -> bool:
    """Whether it may be the first event of an order, of which NEW was not sent.

    The same comes later too: an order takes after it was amended or at the end of an auction, and a stop that waited
    expires with its list.
    """
    if update["triggeredAt"] is not None:
        return False
    event = _event(update)
    if event == TRADE:
        trade = update["lastTrade"]
        return bool(trade["role"] == "TAKER" and trade["quantity"] == update["filledQuantity"])
    is_fleeting = update["type"] == OrderType.MARKET or update["timeInForce"] in _NEVER_RESTS
    ends = event == EXPIRED and is_fleeting
    return (ends or event == TRADE_PREVENTION) and not Decimal(update["filledQuantity"])


def account_position(balances: Iterable[Balance]) -> dict[str, Any]:
    now = now_ms()
    rows = [{"a": row.currency_id, "f": amount(row.available), "l": amount(row.frozen)} for row in balances]
    return {"e": "outboundAccountPosition", "E": now, "u": now, "B": rows}


def listen_key_expired(text: str) -> dict[str, Any]:
    return {"e": "listenKeyExpired", "E": now_ms(), "listenKey": text}


def _event(update: Mapping[str, Any]) -> str | None:
    """What happened, in Binance's word.

    None for a refused amend, which changed nothing, and for a stop that rests now, because TRIGGERED was sent before.
    """
    if "lastTrade" in update:
        return TRADE
    if update["reason"] == Reason.AMENDED:
        return REPLACED
    if update["reason"] == Reason.AMEND_REFUSED:
        return None
    if update["active"]:
        if update["status"] == Status.OPEN and update["reason"] is None and update["triggeredAt"] is not None:
            return None
        # A decrement leaves the status as it is.
        return TRADE_PREVENTION if update["reason"] == Reason.SELF_TRADE else NEW
    return _by_status(order_terms(update))


def _by_status(terms: Mapping[str, Any]) -> str:
    return _BY_STATUS.get(terms["status"], EXPIRED)


def _before(update: Mapping[str, Any]) -> dict[str, Any]:
    """The order as it was accepted."""
    nothing = {"filledQuantity": "0", "filledQuote": "0", "preventedQuantity": "0", "averagePrice": None}
    accepted = {**update, **nothing, "status": Status.PENDING, "reason": None, "active": True}
    return {**_without_trade(accepted), "updatedAt": update["createdAt"]}


def _without_trade(update: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in update.items() if name != "lastTrade"}


def _report(update: Mapping[str, Any], terms: Mapping[str, Any], event: str, prevention: str) -> dict[str, Any]:
    name = client_order_id(update["orderId"], update["clientOrderId"])
    is_working = update["active"] and update["status"] != Status.WAITING
    report = {
        "e": "executionReport",
        "E": now_ms(),
        "s": terms["symbol"],
        "c": name,
        "S": terms["side"],
        "o": terms["type"],
        "f": terms["timeInForce"],
        "q": terms["origQty"],
        "p": terms["price"],
        "P": amount(update["stopPrice"]),
        "F": amount(update["displayQuantity"]),
        "g": terms["orderListId"],
        # What the client called the order, where the report is of its cancel.
        "C": name if event == CANCELED else "",
        "x": event,
        "X": terms["status"],
        "r": NONE if event not in (REJECTED, EXPIRED) or update["reason"] is None else update["reason"],
        "i": update["orderId"],
        **_fill(update.get("lastTrade")),
        "z": terms["executedQty"],
        "T": milliseconds(update["updatedAt"]),
        "I": update["sequence"],
        "w": is_working,
        "M": "lastTrade" in update,
        "O": milliseconds(update["createdAt"]),
        "Z": terms["cummulativeQuoteQty"],
        "Q": terms["origQuoteOrderQty"],
        "V": prevention,
    }
    if is_working:
        report["W"] = working_time(update)
    return report


def _fill(trade: Mapping[str, Any] | None) -> dict[str, Any]:
    """The order's half of the trade, and its fee."""
    if trade is None:
        return {"l": amount(None), "L": amount(None), "Y": amount(None), "n": "0", "N": None, "t": -1, "m": False}
    return {
        "l": amount(trade["quantity"]),
        "L": amount(trade["price"]),
        "Y": amount(Decimal(trade["price"]) * Decimal(trade["quantity"])),
        "n": amount(trade["fee"]),
        "N": trade["feeCurrency"],
        "t": trade_number(trade["tradeId"]),
        "m": trade["role"] == "MAKER",
    }
