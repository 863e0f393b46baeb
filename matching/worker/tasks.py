"""Celery's entry points."""

import logging
from typing import Any

from celery import current_app, shared_task
from structlog.contextvars import bound_contextvars

from commands import queue
from matching.worker import poller
from matching.worker.metrics_server import MetricsServer
from matching.worker.subscription import MarketPoller, MarketSubscription

logger = logging.getLogger(__name__)


# Stored nowhere: a monitor such as Flower hears it, as long as its first orders and trades need.
@shared_task(name=queue.MATCH_TASK, ignore_result=True, resultrepr_maxsize=10_000)
def match(symbol: str) -> dict[str, Any]:
    """A bell rang: apply the symbol's waiting commands."""
    return poller.match(symbol).as_result()


@shared_task(name=queue.DEAD_LETTER_TASK, ignore_result=True)
def dead_letter(letter: dict[str, Any]) -> None:
    """A command was given up: say so where the logs of this worker are read."""
    with bound_contextvars(orderId=letter["orderId"], correlationId=letter.get("correlationId")):
        logger.error("dead letter %(id)s: %(kind)s of order %(orderId)s in %(symbol)s: %(error)s", letter)


current_app.steps["worker"].add(MetricsServer)
current_app.steps["consumer"].add(MarketSubscription)
current_app.steps["worker"].add(MarketPoller)
