"""What is asked over a WebSocket: each call is an operation with its fields."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..answers.market import Time
from ..answers.orders import Accepted, AcceptedGroup, Changing
from ..terms import Amount, NewOco, NewOrder, body_of, terms_of
from .call import Call, Reply, T, method, nothing, one
from .orders import accepted

SOCKET = "SOCKET"


def place(order: NewOrder) -> Call[Accepted]:
    """Place an order."""
    return _operation("order.place", _accepted, params=body_of(order))


def place_oco(group: NewOco) -> Call[AcceptedGroup]:
    """A target and a stop of which one cancels the other."""
    return _operation("order.oco", one(AcceptedGroup), params=body_of(group))


def amend(
    order_id: int,
    *,
    price: Amount | None = None,
    quantity: Amount | None = None,
    display_quantity: Amount | None = None,
    stop_price: Amount | None = None,
    expires_at: datetime | None = None,
) -> Call[Changing]:
    """Change what is given."""
    terms = {"price": price, "quantity": quantity, "display_quantity": display_quantity, "stop_price": stop_price}
    params = {"orderId": order_id, **terms_of({**terms, "expires_at": expires_at})}
    return _operation("order.amend", one(Changing), params=params)


def cancel(order_id: int) -> Call[Changing]:
    """Cancel an order."""
    return _operation("order.cancel", one(Changing), params={"orderId": order_id})


def cancel_on_disconnect(enabled: bool = True) -> Call[None]:
    """When the connection goes, the open orders that were placed over it are cancelled."""
    return _operation("cancel-on-disconnect", nothing, enabled=enabled)


def subscribe(*channels: str, last_event_id: str = "") -> Call[tuple[str, ...]]:
    """Follow `orders`, `depth:SYMBOL`, `trades:SYMBOL` or `ticker:SYMBOL`; what they bring is in `messages`."""
    resume = {"lastEventId": last_event_id} if last_event_id else {}
    return _operation("subscribe", _channels, channels=list(channels), **resume)


def unsubscribe(*channels: str) -> Call[tuple[str, ...]]:
    """Follow these no more. What is followed still."""
    return _operation("unsubscribe", _channels, channels=list(channels))


def ping() -> Call[Time]:
    """The exchange's clock."""
    return _operation("ping", one(Time))


def auth(fields: Mapping[str, Any]) -> Call[None]:
    """Sign in. The session does so when it is opened."""
    return _operation("auth", nothing, **fields)


class SessionCalls:
    """The methods of a session."""

    place = method(place)
    place_oco = method(place_oco)
    amend = method(amend)
    cancel = method(cancel)
    cancel_on_disconnect = method(cancel_on_disconnect)
    subscribe = method(subscribe)
    unsubscribe = method(unsubscribe)
    ping = method(ping)


def _operation(op: str, read: Any, **fields: Any) -> "Call[T]":
    return Call(SOCKET, op, read, body=fields, repeats=False)


def _accepted(reply: Reply) -> Accepted:
    return accepted(reply.data, replayed=bool(reply.body.get("replayed")))


def _channels(reply: Reply) -> tuple[str, ...]:
    return tuple(reply.data["channels"])
