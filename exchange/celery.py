"""The Celery application: doorbells in, matching runs out."""

import logging.config
import os
from typing import Any

from celery import Celery, Task, beat
from celery.app.amqp import AMQP, Queues
from celery.signals import beat_init, setup_logging, worker_init
from django.conf import settings
from kombu import Queue
from structlog.contextvars import bound_contextvars

from base.storage.checks import log_servers_away
from base.telemetry import liveness

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exchange.settings")

# RabbitMQ keeps each queue on a majority of its nodes, and delivers it to one worker at a time. The next worker takes
# over when that one goes.
QUORUM = {"x-queue-type": "quorum", "x-single-active-consumer": True}


class MarketQueues(Queues):
    """A queue is declared when it is first named, by web and by workers, so both must declare it alike."""

    def new_missing(self, name: str) -> Queue:
        queue: Queue = super().new_missing(name)
        if not settings.IS_REDIS_BROKER:
            queue.queue_arguments = dict(QUORUM)
        return queue


class Declarations(AMQP):
    """Celery's, with our queues."""

    queues_cls = MarketQueues


class NamedTask(Task):  # type: ignore[type-arg]
    """A task whose id is in each line that is logged while it runs."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with bound_contextvars(taskId=self.request.id):
            return self.run(*args, **kwargs)


app = Celery("exchange", amqp=Declarations, task_cls=NamedTask)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["matching.worker"])


@setup_logging.connect(weak=False)
def _set_up_logging(**_: Any) -> None:
    """In place of Celery's own logging, which would write plain lines; its --loglevel counts for nothing."""
    logging.config.dictConfig(settings.LOGGING)


@worker_init.connect(weak=False)
@beat_init.connect(weak=False)
def _check_servers(**_: Any) -> None:
    log_servers_away()


class Scheduler(beat.Scheduler):
    """The scheduler of beat. It keeps its schedule in memory, because a file could be broken when beat starts."""

    # The longest pause between two ticks in seconds: a health check reads the liveness file.
    max_interval = 1

    def tick(self, *args: Any, **kwargs: Any) -> float:
        liveness.touch()
        self._follow_the_clock()
        pause: float = super().tick(*args, **kwargs)
        return pause

    def _follow_the_clock(self) -> None:
        """After the clock steps back, count intervals from now. Celery would send nothing until it has caught up."""
        now = self.app.now()
        ahead = [entry for entry in self.schedule.values() if entry.last_run_at and entry.last_run_at > now]
        for entry in ahead:
            entry.last_run_at = now
        if ahead:
            # Celery builds it again, with the new instants.
            self._heap = None
