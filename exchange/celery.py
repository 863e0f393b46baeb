"""The Celery application: doorbells in, matching runs out."""

import logging.config
import os
from typing import Any

from celery import Celery, Task
from celery.app.amqp import AMQP, Queues
from celery.beat import PersistentScheduler
from celery.signals import beat_init, setup_logging, worker_init
from django.conf import settings
from kombu import Queue
from kombu.transport.redis import Channel
from structlog.contextvars import bound_contextvars

from base.storage.checks import log_servers_away
from base.telemetry import liveness

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exchange.settings")

# What RabbitMQ is asked for: each queue is kept by a majority of its nodes and heard by one worker at a time, the next
# one in line taking over when that one goes.
QUORUM = {"x-queue-type": "quorum", "x-single-active-consumer": True}


class MarketQueues(Queues):
    """Queues come to be when they are first named, by whoever rings or hears: both must declare them alike."""

    def new_missing(self, name: str) -> Queue:
        queue: Queue = super().new_missing(name)
        if not settings.IS_REDIS_BROKER:
            queue.queue_arguments = dict(QUORUM)
        return queue


class Declarations(AMQP):
    """Celery's, with our queues."""

    queues_cls = MarketQueues


class NamedTask(Task):  # type: ignore[type-arg]
    """A task whose id is in all that is logged while it runs."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with bound_contextvars(taskId=self.request.id):
            return self.run(*args, **kwargs)


app = Celery("exchange", amqp=Declarations, task_cls=NamedTask)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["matching.worker"])

# A bell that was not acknowledged is not put back when its connection ends. That needs the very Redis that is gone:
# after a freeze, which swallows acknowledgements, and a kill, failing to put them back ended every worker.
Channel.do_restore = False


@setup_logging.connect(weak=False)
def _set_up_logging(**_: Any) -> None:
    """In place of Celery's own logging, which would write plain lines; its --loglevel counts for nothing."""
    logging.config.dictConfig(settings.LOGGING)


@worker_init.connect(weak=False)
@beat_init.connect(weak=False)
def _check_servers(**_: Any) -> None:
    log_servers_away()


class Scheduler(PersistentScheduler):
    """Shows with each of its turns, one a second, that it is not stuck."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        liveness.touch()
        pause: float = super().tick(*args, **kwargs)
        return pause
