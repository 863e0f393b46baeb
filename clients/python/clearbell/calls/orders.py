"""Orders and fills of one's own."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from ..answers.orders import (
    Accepted,
    AcceptedGroup,
    CancelResult,
    Changing,
    DeadManSwitch,
    Fill,
    Order,
    OrderEvent,
    Preview,
    QueuePlace,
)
from ..answers.reading import read_as
from ..errors import NotUnderstood, Refused
from ..terms import Amount, NewOco, NewOrder, Side, body_of, terms_of
from .call import Call, Page, Reply, asked, get, many, one, part

BatchResult = Accepted | Refused


def place(order: NewOrder, *, wait: int | None = None) -> Call[Accepted]:
    """Place an order. With `wait` the answer has the order, if it was taken up within so many milliseconds."""
    return Call("POST", "/orders", _accepted, asked({"wait": wait}), body_of(order))


def place_many(orders: Sequence[NewOrder]) -> Call[tuple[BatchResult, ...]]:
    """Up to 100 orders at once; each is accepted, or refused on its own: its result is that refusal."""
    return Call("POST", "/orders/batch", _results, body={"orders": [body_of(order) for order in orders]})


def preview(order: NewOrder) -> Call[Preview]:
    """What would become of an order if it were the next. Nothing is stored."""
    return Call("POST", "/orders/preview", one(Preview), body=body_of(order))


def place_oco(group: NewOco) -> Call[AcceptedGroup]:
    """A target and a stop of which one cancels the other."""
    return Call("POST", "/orders/oco", one(AcceptedGroup), body=body_of(group))


def replace(order_id: int, order: NewOrder) -> Call[Accepted]:
    """Cancel an order and place another one in its market, in one command."""
    return Call("POST", f"/orders/{order_id}/replace", _accepted, body=body_of(order))


def amend(
    order_id: int,
    *,
    price: Amount | None = None,
    quantity: Amount | None = None,
    display_quantity: Amount | None = None,
    stop_price: Amount | None = None,
    expires_at: datetime | None = None,
) -> Call[Changing]:
    """Change what is given. The outcome is an event: `AMENDED`, or `AMEND_REFUSED`."""
    order = {"price": price, "quantity": quantity, "display_quantity": display_quantity}
    body = terms_of({**order, "stop_price": stop_price, "expires_at": expires_at})
    done = {"NOTHING_TO_AMEND": partial(_was_done, order_id)}
    return Call("PATCH", f"/orders/{order_id}", one(Changing), body=body, done=done)


def order(order_id: int) -> Call[Order]:
    """One order."""
    return get(f"/orders/{order_id}", one(Order))


def order_of_client(client_order_id: str) -> Call[Order]:
    """One order, by its client order id."""
    return get(f"/orders/client/{part(client_order_id)}", one(Order))


def orders(
    *,
    symbol: str | None = None,
    side: Side | None = None,
    status: str | None = None,
    active: bool | None = None,
    start_time: datetime | None = None,
    end_time: datetime | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[Page[Order]]:
    """One's own orders, newest first."""
    which = {"symbol": symbol, "side": side, "status": status, "active": active}
    window = {"start_time": start_time, "end_time": end_time}
    return get("/orders", many(Order), **which, **window, limit=limit, cursor=cursor)


def fills(
    *,
    symbol: str | None = None,
    order_id: int | None = None,
    start_time: datetime | None = None,
    end_time: datetime | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[Page[Fill]]:
    """One's own fills, newest first."""
    which = {"symbol": symbol, "order_id": order_id, "start_time": start_time, "end_time": end_time}
    return get("/fills", many(Fill), **which, limit=limit, cursor=cursor)


def fills_of(order_id: int, *, limit: int | None = None, cursor: str | None = None) -> Call[Page[Fill]]:
    """The fills of one order, oldest first."""
    return get(f"/orders/{order_id}/trades", many(Fill), limit=limit, cursor=cursor)


def timeline(order_id: int, *, limit: int | None = None, cursor: str | None = None) -> Call[Page[OrderEvent]]:
    """The steps of one order, oldest first."""
    return get(f"/orders/{order_id}/events", many(OrderEvent), limit=limit, cursor=cursor)


def queue_place(order_id: int) -> Call[QueuePlace]:
    """What would trade before a resting order."""
    return get(f"/orders/{order_id}/queue", one(QueuePlace))


def cancel(order_id: int, *, strict: bool = False) -> Call[Changing]:
    """Cancel an order. `strict`: a repeat that finds it closed is an error too, for it may have been filled."""
    return Call("DELETE", f"/orders/{order_id}", one(Changing), done=_closed(order_id, strict))


def cancel_of_client(client_order_id: str, *, strict: bool = False) -> Call[Changing]:
    """Cancel an order by its client order id."""
    return Call("DELETE", f"/orders/client/{part(client_order_id)}", one(Changing), done=_closed(None, strict))


def cancel_many(order_ids: Sequence[int] = (), client_order_ids: Sequence[str] = ()) -> Call[tuple[CancelResult, ...]]:
    """Cancel up to 100 orders: ids first, then keys, one result for each."""
    named: dict[str, Any] = {"orderIds": list(order_ids), "clientOrderIds": list(client_order_ids)}
    body = {name: values for name, values in named.items() if values}
    return Call("POST", "/orders/batch-cancel", _cancel_results, body=body)


def cancel_all(*, symbol: str | None = None, side: Side | None = None) -> Call[int]:
    """Cancel all own open orders, or those of a market and a side. How many cancels were accepted."""
    return Call(
        "DELETE", "/orders", lambda reply: int(reply.data["cancelled"]), asked({"symbol": symbol, "side": side})
    )


def cancel_all_after(timeout_seconds: int, *, symbol: str | None = None) -> Call[DeadManSwitch]:
    """The dead man's switch: all open orders are cancelled after so many seconds, unless it is set anew; 0 disarms."""
    body = {"timeoutSeconds": timeout_seconds, **({"symbol": symbol} if symbol else {})}
    return Call("POST", "/orders/cancel-all-after", one(DeadManSwitch), body=body)


def accepted(data: Mapping[str, Any], *, replayed: bool = False) -> Accepted:
    """An order that was accepted, from the short answer or, after a `wait`, from the order."""
    if "symbol" not in data:
        return read_as(Accepted, {"replayed": replayed, **data})
    known = read_as(Order, data)
    return Accepted(known.order_id, known.client_order_id, known.status, known.correlation_id, replayed, order=known)


def _accepted(reply: Reply) -> Accepted:
    return accepted(reply.data, replayed=reply.headers.get("Idempotent-Replayed") == "true")


def _results(reply: Reply) -> tuple[BatchResult, ...]:
    return tuple(Refused.of(each["code"], each) if "error" in each else accepted(each) for each in _list(reply))


def _cancel_results(reply: Reply) -> tuple[CancelResult, ...]:
    return tuple(read_as(CancelResult, each) for each in _list(reply))


def _list(reply: Reply) -> Sequence[Any]:
    results = reply.data.get("results") if isinstance(reply.data, dict) else None
    if not isinstance(results, list):
        raise NotUnderstood(f"no results: {reply.content[:200]!r}")
    return results


def _closed(order_id: int | None, strict: bool) -> Mapping[str, Callable[[Refused], Changing]]:
    return {} if strict else {"ORDER_CLOSED": partial(_was_done, order_id)}


def _was_done(order_id: int | None, _: Refused) -> Changing:
    return Changing(order_id, None, was_done=True)
