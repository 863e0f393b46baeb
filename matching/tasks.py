"""Celery's entry points."""

from dataclasses import asdict
from typing import Any

from celery import current_app, shared_task

from matching import queue, worker
from matching.subscription import MarketSubscription


@shared_task(name=queue.MATCH_TASK, ignore_result=True)
def match(symbol: str) -> dict[str, Any]:
    """A bell rang: apply the symbol's waiting commands."""
    return asdict(worker.drain(symbol))


@shared_task(name=queue.SWEEP_TASK, ignore_result=True)
def sweep() -> list[str]:
    """Ring every market that was not heard."""
    return queue.sweep()


current_app.steps["consumer"].add(MarketSubscription)
