"""Celery's beat, with a pulse."""

from typing import Any

from celery.beat import PersistentScheduler

from base.telemetry import liveness


class Scheduler(PersistentScheduler):
    """Shows with each of its turns, one a second, that it is not stuck."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        liveness.beat()
        pause: float = super().tick(*args, **kwargs)
        return pause
