"""Which queues a worker listens to: its markets' own, and those of markets that open while it runs."""

import logging
from typing import Any

from celery import bootsteps
from celery.worker.consumer.tasks import Tasks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection

from exchange.checks import database_faults
from markets.models import Market
from matching import queue

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0


class MarketSubscription(bootsteps.StartStopStep):
    """Subscribe the worker to the queues of its markets.

    A worker started with `-Q orders.BTC-USD` serves that market; one started without -Q serves them all and looks for
    new ones every second. Both also take the sweeper's turns.
    """

    requires = (Tasks,)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        self.sweep_queue = consumer.app.conf.task_default_queue
        chosen = set(consumer.app.amqp.queues.consume_from) - {self.sweep_queue}
        self.serves_all = not chosen
        self.own = {name.removeprefix(queue.QUEUE_PREFIX) for name in chosen}
        self.subscribed: set[str] = set()
        self.timer_entry: Any = None

    def start(self, consumer: Any) -> None:
        """Called at boot and again after each reconnection to the broker, with no queue subscribed."""
        _assert_fit(consumer)
        self.subscribed.clear()
        consumer.add_task_queue(self.sweep_queue)
        self.look(consumer)
        self.timer_entry = consumer.timer.call_repeatedly(LOOK_EVERY_SECONDS, self.look, (consumer,))

    def stop(self, consumer: Any) -> None:
        if self.timer_entry is not None:
            self.timer_entry.cancel()
            self.timer_entry = None

    def look(self, consumer: Any) -> None:
        """Subscribe to the markets not served yet, and ring them: their bells may have been lost while nobody heard."""
        for symbol in sorted(self._served() - self.subscribed):
            consumer.add_task_queue(queue.queue_name(symbol))
            self.subscribed.add(symbol)
            queue.silence(symbol)
            queue.ring_now(symbol)

    def _served(self) -> set[str]:
        if not self.serves_all:
            return self.own
        try:
            return set(Market.objects.values_list("symbol", flat=True))
        except DatabaseError as error:
            # The database is away; what is subscribed stays so, and the next look is a second off.
            logger.warning("markets could not be read: %s", error)
            connection.close()
            return self.subscribed.copy()


def _assert_fit(consumer: Any) -> None:
    """Refuse to match on a database or in a pool in which matching would be wrong."""
    faults = database_faults()
    pool = type(consumer.pool).__module__
    processes = getattr(consumer.pool, "num_processes", 1)
    if not pool.endswith((".solo", ".prefork")) or processes != 1:
        faults.append(f"pool {pool} with {processes} processes: a market is matched by one at a time (-P solo -c 1)")
    if faults:
        raise ImproperlyConfigured("; ".join(faults))
