"""Which markets a worker serves: it subscribes to the queues of their bells, and polls them for lost bells."""

import logging
import time
from collections.abc import Callable
from typing import Any

from celery import bootsteps
from celery.worker.consumer import Consumer
from celery.worker.consumer.delayed_delivery import DelayedDelivery
from celery.worker.consumer.tasks import Tasks
from celery.worker.state import maybe_shutdown
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, OperationalError, connection

from base.storage.checks import database_faults
from base.storage.outages import is_server_away
from base.telemetry.malformed import QUEUE, drop_malformed
from commands import queue
from markets.models import Market
from matching.worker.heartbeat import Heartbeat
from matching.worker.poller import POLL_SECONDS, CommandPoller
from matching.worker.timers import Timers

logger = logging.getLogger(__name__)


class Served:
    """The markets of a worker: those of its -Q, or all markets except those of WORKER_EXCEPT.

    Two workers on one market are safe, but each has to read its book anew. With `-Q orders.BTC-USD` the worker serves
    that market, with `-Q orders.dlq` it serves none and only logs dead letters. A worker that serves all markets logs
    dead letters too.
    """

    def __init__(self, app: Any) -> None:
        scheduled = app.conf.task_default_queue
        chosen = set(app.amqp.queues.consume_from)
        self.serves_all = chosen <= {scheduled}
        self.other_queues = {scheduled} | ({queue.DEAD_LETTER_QUEUE} if self.serves_all else set())
        self.own = {name.removeprefix(queue.QUEUE_PREFIX) for name in chosen - {scheduled, queue.DEAD_LETTER_QUEUE}}
        self.last: set[str] = self.own

    def symbols(self) -> set[str]:
        if self.serves_all:
            try:
                self.last = set(Market.objects.values_list("symbol", flat=True)) - settings.WORKER_EXCEPT
            except DatabaseError as error:
                # The database is away: the markets stay the same until the next look in a second.
                logger.warning("markets could not be read: %s", error)
                connection.close()
        return self.last


class SafeConsumer(Consumer):
    """Celery's consumer, which drops a message that it cannot read. Celery alone would end the worker.

    RabbitMQ would deliver such a message again after each restart. To drop it changes nothing, because a message only
    wakes the worker.
    """

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        handle = super().create_task_handler(*args, **kwargs)

        def handle_or_drop(message: Any) -> None:
            try:
                handle(message)
            except Exception as error:
                if is_server_away(error):
                    raise
                self._drop(message, error)

        return handle_or_drop

    def on_unknown_message(self, body: Any, message: Any) -> None:
        self._drop(message, "a message without a task")

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        self._drop(message, "a message with a task that there is not")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        self._drop(message, exc)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        self._drop(message, exc)

    def _drop(self, message: Any, why: object) -> None:
        """Celery itself would write the whole message into the log."""
        drop_malformed(QUEUE, why)
        message.reject_log_error(logger, self.connection_errors)  # type: ignore[attr-defined]


class MarketSubscription(bootsteps.StartStopStep):
    """Subscribes the worker to the queues of its markets, and every second to those of markets that are new.

    All workers also take the tasks that beat sends to the default queue.
    """

    requires = (Tasks,)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        self.served = Served(consumer.app)
        self.subscribed: set[str] = set()
        self.timer_entry: Any = None

    def start(self, consumer: Any) -> None:
        """Called at boot and again after each reconnection to the broker, with no queue subscribed.

        Nothing is consumed until Celery's loop begins: a bell that waits in RabbitMQ would arrive while the next queue
        is declared, when nothing could take it.
        """
        self.subscribed.clear()
        for name in sorted(self.served.other_queues):
            _add_queue(consumer, name)
        self._add_new(consumer)
        self.timer_entry = consumer.timer.call_repeatedly(POLL_SECONDS, self.poll, (consumer,))

    def stop(self, consumer: Any) -> None:
        if self.timer_entry is not None:
            self.timer_entry.cancel()
            self.timer_entry = None

    def poll(self, consumer: Any) -> None:
        """Subscribe to the markets that are new."""
        if self._add_new(consumer):
            consumer.task_consumer.consume()

    def _add_new(self, consumer: Any) -> set[str]:
        """Add the markets not served yet, and ring them, because their bells may have been lost until now."""
        new = self.served.symbols() - self.subscribed
        for symbol in sorted(new):
            _add_queue(consumer, queue.queue_name(symbol))
            self.subscribed.add(symbol)
            queue.clear_bell(symbol)
            queue.ring_now(symbol)
        return new


def _add_queue(consumer: Any, name: str) -> None:
    """Add the queue to those from which the consumer will take messages."""
    # Looked up first, because Celery would declare an unknown queue in its own way.
    known = consumer.app.amqp.queues
    consumer.task_consumer.add_queue(known.select_add(known[name]))


class MarketPoller(bootsteps.StartStopStep):
    """Runs the poller and the timers from the worker's start to its end, whether there is a broker or not."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self.poller: CommandPoller | None = None
        self.timers: Timers | None = None

    def start(self, worker: Any) -> None:
        """Called once, before the worker looks for its broker."""
        _assert_fit(worker.pool)
        served = Served(worker.app)
        symbols = settings.WORKER_EXCEPT if served.serves_all else served.own
        heartbeat = Heartbeat(worker.hostname, serves_all=served.serves_all, symbols=symbols)
        self.poller = CommandPoller(served.symbols, heartbeat)
        self.poller.start()
        self.timers = Timers()
        self.timers.start()

    def stop(self, parent: Any) -> None:
        if self.timers is not None:
            self.timers.stop()
            self.timers = None
        if self.poller is not None:
            self.poller.stop()
            self.poller = None

    terminate = stop


def _never(*_: Any) -> bool:
    return False


# On RabbitMQ each worker would declare 28 queues for tasks that run later. A bell never does.
DelayedDelivery.include_if = _never  # type: ignore[method-assign, assignment]


def _assert_fit(pool: Any) -> None:
    """Refuse to match on a database or in a pool in which matching would be wrong."""
    faults = _faults()
    kind = type(pool).__module__
    processes = getattr(pool, "num_processes", 1)
    if not kind.endswith((".solo", ".prefork")) or processes != 1:
        faults.append(f"pool {kind} with {processes} processes: a market is matched by one at a time (-P solo -c 1)")
    if faults:
        raise ImproperlyConfigured("; ".join(faults))


def _faults() -> list[str]:
    """What is wrong with the database, as soon as it answers."""
    while True:
        try:
            return database_faults()
        except OperationalError as error:
            logger.warning("waiting for the database: %s", error)
            connection.close()
            time.sleep(POLL_SECONDS)
            # Celery's loop, which handles signals, has not begun yet.
            maybe_shutdown()
