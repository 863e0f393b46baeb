"""The order log: requests, what was accepted or refused, and each event of the engine.

Every order is named by its `correlationId`. A line about many orders has a bundle of them, because a line for each
would cost the engine time, and a line for all would be too long.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog

from base.storage.bulk import batched
from base.telemetry.access import bind_log_fields, set_log_outcome
from base.telemetry.redaction import TrustedFields
from base.web.errors import ExchangeError
from core.money import plain_units
from core.outcome import Event
from orders.models import Order
from orders.representation import OrderInfo
from orders.terms import Accepted

logger = structlog.get_logger(__name__)

# A line with so many orders stays below eight kilobytes.
BUNDLE = 32
LONGEST_TEXT = 64


def order_asked(body: Mapping[str, Any]) -> None:
    """A request to place an order: its line has `order refused` until `order_placed` replaces that."""
    set_log_outcome("order refused")
    texts = {name: body.get(name) for name in ("symbol", "clientOrderId")}
    bind_log_fields(**{name: text[:LONGEST_TEXT] for name, text in texts.items() if isinstance(text, str)})


def order_placed(placed: Accepted) -> None:
    set_log_outcome("order answered again" if placed.is_repeated else "order accepted")
    bind_log_fields(**_named(placed.order), symbol=placed.order.market_id, ownerId=placed.order.user_id)


def orders_placed(results: Sequence[Accepted | ExchangeError]) -> None:
    """The orders of a batch that were accepted, and the refused ones with their errors and places in the batch."""
    accepted, refused = [], []
    for place, result in enumerate(results):
        if isinstance(result, ExchangeError):
            refused.append({"place": place, "error": result.error})
        else:
            keys = {"symbol": result.order.market_id, "clientOrderId": result.order.client_order_id}
            accepted.append({**_named(result.order), **keys, **({"again": True} if result.is_repeated else {})})
    _log_bundles("orders accepted", accepted)
    _log_bundles("orders refused", refused)
    bind_log_fields(accepted=len(accepted), refused=len(refused))


def amend_asked(order_id: str) -> None:
    set_log_outcome("amend refused")
    bind_log_fields(orderId=order_id[:LONGEST_TEXT])


def amend_accepted(order: Order) -> None:
    set_log_outcome("amend accepted")
    bind_log_fields(**_named(order), symbol=order.market_id)


def cancel_asked(order_id: str) -> None:
    set_log_outcome("cancel refused")
    bind_log_fields(orderId=order_id[:LONGEST_TEXT])


def cancel_accepted(order: Order) -> None:
    set_log_outcome("cancel accepted")
    bind_log_fields(**_named(order), symbol=order.market_id)


def cancels_accepted(orders: Iterable[tuple[int, str]]) -> None:
    """The cancels of several orders, given as (order id, correlation id)."""
    _log_bundles("cancels accepted", [{"orderId": key, "correlationId": text} for key, text in orders])


def dead_man_fired(user_id: int, symbol: str, cancelled: int) -> None:
    logger.info("dead man's switch fired", ownerId=user_id, symbol=symbol or None, cancelled=cancelled)


def account_changed(event: str, user_id: int, operator_id: int, **more: Any) -> None:
    """What staff did to a user's account; the reason is in the row of the act."""
    logger.warning(event, ownerId=user_id, operatorId=operator_id, **more)


def orders_applied(symbol: str, events: Sequence[Event]) -> None:
    """The events of a committed batch, in the market's sequence: one line for each bundle.

    `batch` is the id of the batch's first event.
    """
    if events and logging.getLogger(__name__).isEnabledFor(logging.INFO):
        batch = f"{symbol}-{events[0].sequence}"
        for bundle in batched(map(_step, events), BUNDLE):
            logger.info("orders applied", symbol=symbol, batch=batch, orders=TrustedFields(bundle))


def _step(event: Event) -> dict[str, Any]:
    order, info = event.order, event.order.info
    assert isinstance(info, OrderInfo), order
    step = {
        "correlationId": info.correlation_id,
        "orderId": order.id,
        "status": event.status,
        "sequence": event.sequence,
        "filled": plain_units(event.filled),
    }
    return step if event.reason is None else {**step, "reason": event.reason}


def _named(order: Order) -> dict[str, Any]:
    return {"orderId": order.id, "correlationId": order.correlation_id}


def _log_bundles(event: str, orders: Iterable[dict[str, Any]]) -> None:
    for bundle in batched(orders, BUNDLE):
        logger.info(event, orders=bundle)
