"""Breakers: a server that does not answer is not asked again until it does.

A request that asks a dead or frozen Redis waits for its timeout. The first one to wait opens the server's breaker, and
from then on nothing in this process waits. pybreaker by itself would let one request after the other try whether the
server is back, each at the price of a timeout. Here none ever does: while a breaker is open a thread asks, and closes
it.

There is one breaker for each server, so that a cache and a broker which share one are away together.
"""

import functools
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from amqp.exceptions import ConnectionError as AmqpConnectionError
from django.conf import settings
from django_redis.exceptions import ConnectionInterrupted
from kombu.exceptions import OperationalError
from pybreaker import STATE_OPEN, CircuitBreaker, CircuitBreakerError, CircuitBreakerListener
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from base.storage.redis import _server_of, ask, ask_redis, redis_options, redis_server
from base.telemetry.metrics import SERVER_AWAY

logger = logging.getLogger(__name__)

# What a call through an open breaker raises, and the one that opened it.
ServerAway = CircuitBreakerError

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0
# pybreaker's own trial of a server is never due.
NEVER_SECONDS = 100 * 365 * 86_400

# A server that answers but takes no writes is no use to us: a replica, or one that is full.
_OUTAGES = (RedisConnectionError, RedisTimeoutError, ReadOnlyError, OutOfMemoryError, AmqpConnectionError, OSError)
# They carry what they were made from as their cause: it may be a refusal, which is no outage.
_WRAPPERS = (OperationalError, ConnectionInterrupted)


class Breaker(CircuitBreakerListener):
    """One server's: closed while it answers, open while it does not. `ask` raises for as long as it does not."""

    def __init__(self, server: str, ask: Callable[[], Any]) -> None:
        self.server = server
        self._ask = ask
        self._reason = ""
        self._circuit = CircuitBreaker(
            fail_max=1, reset_timeout=NEVER_SECONDS, exclude=[_is_not_away], listeners=[self], name=server
        )

    @property
    def is_open(self) -> bool:
        return bool(self._circuit.current_state == STATE_OPEN)

    def calling(self) -> AbstractContextManager[None]:
        """Around what asks the server. Raises ServerAway at once while it is away, and where it turns out to be.

        Not pybreaker's `call`: that one holds its lock for as long as the call lasts, and one thread after the other
        would ask.
        """
        context: AbstractContextManager[None] = self._circuit.calling()
        return context

    def failure(self, cb: CircuitBreaker, exc: BaseException) -> None:
        # Not its repr: redis-py's holds no words.
        self._reason = f"{type(exc).__name__}: {exc}"

    def state_change(self, cb: CircuitBreaker, old_state: Any, new_state: Any) -> None:
        if old_state.name == new_state.name:
            # Several threads were waiting for the server when it was found to be away.
            return
        SERVER_AWAY.labels(self.server).set(new_state.name == STATE_OPEN)
        if new_state.name == STATE_OPEN:
            logger.warning("%s does not answer, it is done without until it does: %s", self.server, self._reason)
            threading.Thread(target=self._ask_until_it_answers, name=f"breaker-{self.server}", daemon=True).start()
        else:
            logger.warning("%s answers again", self.server)

    def _ask_until_it_answers(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            time.sleep(pause)
            if _breakers.get(self.server) is not self:
                return
            try:
                self._ask()
            except Exception as error:
                if is_away(error):
                    pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                    continue
                # It refuses this question, so it answers.
            self._circuit.close()
            return


def breaker_of(url: str) -> Breaker:
    """The breaker of the server at the URL of a Redis or of a broker that kombu knows."""
    return breaker(_server_of(url), functools.partial(ask, url))


def breaker(server: str, ask: Callable[[], Any]) -> Breaker:
    """The server's breaker; `ask` counts where it has none yet."""
    # Without a lock: of two that are made at the same moment one is thrown away, unused.
    return _breakers.get(server) or _breakers.setdefault(server, Breaker(server, ask))


def is_away(error: BaseException) -> bool:
    """Whether the server is away. A defect of ours is no outage, and neither is a command that was refused."""
    if isinstance(error, _WRAPPERS):
        return error.__cause__ is None or is_away(error.__cause__)
    if isinstance(error, _OUTAGES):
        return True
    # A server that cannot save to its disk refuses writes too; redis-py has no class for it.
    return isinstance(error, ResponseError) and str(error).startswith("MISCONF")


def forget_breakers() -> None:
    """Begin anew with every server believed to answer."""
    _breakers.clear()


_breakers: dict[str, Breaker] = {}
# A forked process has none of its parent's threads: an open breaker would stay open in it for ever, and one whose lock
# another thread held at that moment would stay locked.
os.register_at_fork(after_in_child=forget_breakers)


def _is_not_away(error: BaseException) -> bool:
    return not is_away(error)


def streams_breaker() -> Breaker:
    """The breaker of the server that the streams' messages cross."""
    location = settings.EVENTSTREAM_REDIS
    return breaker(redis_server(location["host"], location["port"]), _ask)


def _ask() -> None:
    with Redis(**redis_options()) as client:
        ask_redis(client)
