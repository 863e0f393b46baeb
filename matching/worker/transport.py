"""How messages are taken from Redis, for whoever takes any: the workers and Flower."""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty
from typing import Any

from kombu.transport import redis
from redis.exceptions import RedisError

from base.telemetry.malformed import QUEUE, drop_malformed


@contextmanager
def _dropping_junk() -> Iterator[None]:
    """Drop what cannot be read from Redis, and go on. Errors of the connection are Celery's to handle."""
    try:
        yield
    except Exception as error:
        if isinstance(error, Empty | RedisError | OSError):
            raise
        drop_malformed(QUEUE, error)


class SafeQoS(redis.QoS):
    """The messages that were not acknowledged."""

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        with _dropping_junk():
            super().restore_by_tag(tag, client, leftmost)
            return
        # What cannot be put back in its queue would end each worker that starts.
        with self.channel.conn_or_acquire(client) as own:
            self._remove_from_indices(tag, own.pipeline()).execute()


class SafeChannel(redis.Channel):
    """A channel to Redis that drops what is no message, because anybody may write into a queue of Redis.

    Celery would end the worker. To drop it changes nothing, because a message only wakes the worker.
    """

    QoS = SafeQoS
    # A bell that was not acknowledged is not put back when its connection ends. That needs the very Redis that is gone:
    # after a freeze, which swallows acknowledgements, and a kill, failing to put them back ended every worker.
    do_restore = False

    def _brpop_read(self, **options: Any) -> Any:
        with _dropping_junk():
            return super()._brpop_read(**options)  # type: ignore[misc]

    def _receive(self) -> Any:
        with _dropping_junk():
            return super()._receive()  # type: ignore[misc]


def install() -> None:
    """From now on each connection to Redis has such channels."""
    redis.Transport.Channel = SafeChannel
