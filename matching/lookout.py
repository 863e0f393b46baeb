"""A worker that hears no bell: once a second it looks for commands by itself, whatever became of the broker."""

import logging
import threading
from collections.abc import Callable, Collection

from django.db import close_old_connections, connection

from exchange.outages import is_outage
from matching import queue, worker
from matching.worker import Run

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0

# A worker matches one market at a time, whoever woke it: the lookout must not work beside a task of its own process.
_turn = threading.Lock()


def match(symbol: str) -> Run:
    """What a bell asks for: wait for the turn and drain."""
    with _turn:
        return worker.drain(symbol)


class Lookout:
    """A thread that drains the markets whose bells were not heard.

    Beside the broker's connection and not upon it: while the broker is away the worker does nothing but try to reach
    it, and while it is frozen the worker waits for it.
    """

    def __init__(self, served: Callable[[], Collection[str]]) -> None:
        self._served = served
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            pause = LOOK_EVERY_SECONDS
            while not self._stopping.wait(pause):
                # A backlog is worked off at once: nobody will ring for what a drain's time box left behind.
                pause = 0 if self.look() else LOOK_EVERY_SECONDS
        finally:
            connection.close()

    def look(self) -> bool:
        """Drain each served market whose commands have waited too long, and say whether there was any.

        What fails is tried again in a second.
        """
        try:
            close_old_connections()
            served = self._served()
            runs = [self._drain(symbol) for symbol in queue.unheard() if symbol in served]
            return any(run is not None and run.commands for run in runs)
        except Exception as error:
            if is_outage(error):
                logger.warning("the lookout could not look: %s", error)
            else:
                logger.exception("the lookout failed, it goes on")
            connection.close()
            return False

    def _drain(self, symbol: str) -> Run | None:
        # A worker that is busy has heard its bells.
        if self._stopping.is_set() or not _turn.acquire(blocking=False):
            return None
        try:
            run = worker.drain(symbol)
        finally:
            _turn.release()
        logger.info("unheard: %d commands of %s", run.commands, symbol)
        return run
