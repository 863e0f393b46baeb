"""What the log says of orders: asked for, refused or accepted, and each step that the engine made.

Every order is named by its `correlationId`. Of many orders at once a line names a bundle, so that no line is long and
the engine does not pay for a line with each of them.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog

from base.storage.batched import batched
from base.telemetry.access import bind_log_fields, set_log_outcome
from base.telemetry.logs import TrustedFields
from base.web.errors import ExchangeError
from core.money import plain_units
from core.types import Event
from orders.models import Order
from orders.representation import OrderInfo
from orders.terms import Accepted

logger = structlog.get_logger(__name__)

# A line of so many stays below eight kilobytes.
BUNDLE = 32
LONGEST_WORD = 64


def order_asked(body: Mapping[str, Any]) -> None:
    """The request's line will say that an order was refused, unless it is told otherwise."""
    set_log_outcome("order refused")
    words = {name: body.get(name) for name in ("symbol", "clientOrderId")}
    bind_log_fields(**{name: word[:LONGEST_WORD] for name, word in words.items() if isinstance(word, str)})


def order_placed(placed: Accepted) -> None:
    set_log_outcome("order answered again" if placed.is_repeated else "order accepted")
    bind_log_fields(**_named(placed.order), symbol=placed.order.market_id, ownerId=placed.order.user_id)


def orders_placed(results: Sequence[Accepted | ExchangeError]) -> None:
    """Of a batch: which were accepted, and why the others were not, by their places in the batch."""
    accepted, refused = [], []
    for place, result in enumerate(results):
        if isinstance(result, ExchangeError):
            refused.append({"place": place, "error": result.error})
        else:
            keys = {"symbol": result.order.market_id, "clientOrderId": result.order.client_order_id}
            accepted.append({**_named(result.order), **keys, **({"again": True} if result.is_repeated else {})})
    _say_bundles("orders accepted", accepted)
    _say_bundles("orders refused", refused)
    bind_log_fields(accepted=len(accepted), refused=len(refused))


def cancel_asked(order_id: str) -> None:
    set_log_outcome("cancel refused")
    bind_log_fields(orderId=order_id[:LONGEST_WORD])


def cancel_accepted(order: Order) -> None:
    set_log_outcome("cancel accepted")
    bind_log_fields(**_named(order), symbol=order.market_id)


def cancels_accepted(orders: Iterable[tuple[int, str]]) -> None:
    """Of several orders: their ids and correlation ids."""
    _say_bundles("cancels accepted", [{"orderId": key, "correlationId": word} for key, word in orders])


def orders_applied(symbol: str, events: Sequence[Event]) -> None:
    """What a committed batch did to orders, in the market's sequence: a line for each bundle of events.

    A batch is named by its first event.
    """
    if events and logging.getLogger(__name__).isEnabledFor(logging.INFO):
        batch = f"{symbol}-{events[0].sequence}"
        for bundle in batched(map(_step, events), BUNDLE):
            logger.info("orders applied", symbol=symbol, batch=batch, orders=TrustedFields(bundle))


def _step(event: Event) -> dict[str, Any]:
    order, kept = event.order, event.order.info
    assert isinstance(kept, OrderInfo), order
    step = {
        "correlationId": kept.correlation_id,
        "orderId": order.id,
        "status": event.status,
        "sequence": event.sequence,
        "filled": plain_units(event.filled),
    }
    return step if event.reason is None else {**step, "reason": event.reason}


def _named(order: Order) -> dict[str, Any]:
    return {"orderId": order.id, "correlationId": order.correlation_id}


def _say_bundles(what: str, orders: Iterable[dict[str, Any]]) -> None:
    for bundle in batched(orders, BUNDLE):
        logger.info(what, orders=bundle)
