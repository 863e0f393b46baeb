"""Breakers: a server that does not answer is not asked again until it does.

A request that asks a dead or frozen Redis waits for its timeout. The first call that fails so opens the server's
breaker, and then no call of this process waits: while the breaker is open each raises ServerAway at once, and a thread
asks the server until it answers.

There is one breaker for each server, because a cache and a broker that share a server are away together.
"""

import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from base.storage.outages import is_server_away
from base.storage.redis import ask, server_of
from base.telemetry.metrics import SERVER_AWAY

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0


class ServerAway(Exception):
    """The server does not answer. The call that finds it out raises this too."""


class Breaker:
    """One server's: closed while it answers, open while it does not. `ask` raises for as long as it does not."""

    def __init__(self, server: str, ask: Callable[[], Any]) -> None:
        self.server = server
        self.is_open = False
        self._ask = ask
        self._lock = threading.Lock()

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Around what asks the server. Raises ServerAway at once while it is away, and where it turns out to be."""
        if self.is_open:
            raise ServerAway(self.server)
        try:
            yield
        except Exception as error:
            if not is_server_away(error):
                raise
            self._open(error)
            raise ServerAway(self.server) from error

    def _open(self, error: Exception) -> None:
        with self._lock:
            # Several threads may have waited for the server at the same time.
            if self.is_open:
                return
            self.is_open = True
        SERVER_AWAY.labels(self.server).set(1)
        # Not the error's repr: that of redis-py holds no text.
        reason = f"{type(error).__name__}: {error}"
        logger.warning("%s does not answer, it is done without until it does: %s", self.server, reason)
        threading.Thread(target=self._close_when_it_answers, name=f"breaker-{self.server}", daemon=True).start()

    def _close_when_it_answers(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            time.sleep(pause)
            if _breakers.get(self.server) is not self:
                return
            try:
                self._ask()
            except Exception as error:
                if is_server_away(error):
                    pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                    continue
                # A server that refuses this question answers.
            self.is_open = False
            SERVER_AWAY.labels(self.server).set(0)
            logger.warning("%s answers again", self.server)
            return


def breaker_of(url: str) -> Breaker:
    """The breaker of the server at the URL of a Redis or of a broker that kombu knows."""
    server = server_of(url)
    # Without a lock: of two that are made at the same moment one is thrown away, unused.
    return _breakers.get(server) or _breakers.setdefault(server, Breaker(server, functools.partial(ask, url)))


def forget_breakers() -> None:
    """Begin anew with every server believed to answer."""
    _breakers.clear()


_breakers: dict[str, Breaker] = {}
# A forked process has none of its parent's threads: an open breaker would stay open in it for ever, and a lock that
# another thread held at that moment would stay locked.
os.register_at_fork(after_in_child=forget_breakers)
