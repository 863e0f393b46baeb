"""What intake did with an order that was asked for, counted."""

from functools import partial

from django.db import transaction

from base.telemetry.metrics import INTAKE, ORDERS_DUPLICATE, ORDERS_RECEIVED, ORDERS_REJECTED
from base.web.errors import ExchangeError
from orders.terms import Placed


def count_placed(symbol: str, result: Placed | ExchangeError) -> None:
    """Once the surrounding transaction commits, if there is one."""
    if isinstance(result, ExchangeError):
        counter = ORDERS_REJECTED.labels(symbol, result.error, INTAKE)
    elif result.replayed:
        counter = ORDERS_DUPLICATE.labels(symbol)
    else:
        counter = ORDERS_RECEIVED.labels(symbol)
    transaction.on_commit(partial(counter.inc, 1))
