"""The poller: once a second a worker looks for commands whose bells were lost, with or without a broker."""

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Collection

from django.db import close_old_connections, connection
from structlog.contextvars import bound_contextvars

from base.telemetry import liveness
from base.telemetry.access import new_id
from base.telemetry.processes import count_garbage
from commands import queue
from matching import drain
from matching.inbox import cascading
from matching.report import Run
from matching.worker.heartbeat import Heartbeat

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0

STOP_SECONDS = 10.0

# A worker matches one market at a time: the poller must not drain while a task of the same process does.
_turn = threading.Lock()


def match(symbol: str) -> Run:
    """What a bell asks for: wait for the turn and drain."""
    with _turn:
        return _drain(symbol)


def _drain(symbol: str) -> Run:
    """Drain under an id that is in each log line of the run."""
    liveness.touch()
    with bound_contextvars(runId=new_id()):
        return drain.drain(symbol)


class CommandPoller:
    """A thread that drains the markets whose bells were lost.

    It does not depend on the connection to the broker: while the broker is away the worker only tries to reach it, and
    while it is frozen the worker waits for it.
    """

    def __init__(self, served: Callable[[], Collection[str]], heartbeat: Heartbeat) -> None:
        self._served = served
        self._heartbeat = heartbeat
        self._stale_markets = queue.StaleMarkets()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="poller", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        # With a limit, because a frozen database would keep the worker from ending. The thread ends with the process.
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            pause = POLL_SECONDS
            while not self._stopping.wait(pause):
                self._touch_liveness_file()
                count_garbage()
                # A backlog is drained at once: no bell rings for what the time box of a drain left.
                pause = 0 if self.poll() else POLL_SECONDS
            with contextlib.suppress(Exception):
                # Otherwise the worker counts as alive until its heartbeat is old.
                self._heartbeat.remove()
        finally:
            connection.close()

    def _touch_liveness_file(self) -> None:
        """Only where the turn is free: the file must grow old while a drain is stuck, in whichever thread."""
        if not _turn.locked():
            liveness.touch()

    def poll(self) -> bool:
        """Drain each served market whose commands have waited too long. Returns whether there was any command.

        A market that fails is tried again in a second, and keeps no other market waiting.
        """
        self._refresh_heartbeat()
        try:
            close_old_connections()
            served = self._served()
            stale = dict.fromkeys([*self._stale_markets.look(), *cascading()])
            symbols = [symbol for symbol in stale if symbol in served]
        except Exception as error:
            _give_connection_up("the poller cannot read the inbox", error)
            return False
        runs = [self._drain(symbol) for symbol in symbols]
        return any(run is not None and run.commands for run in runs)

    def _refresh_heartbeat(self) -> None:
        """Also before each drain. A heartbeat that fails keeps no drain from being done, and no drain a heartbeat."""
        try:
            close_old_connections()
            self._heartbeat.refresh()
        except Exception as error:
            _give_connection_up("the heartbeat cannot be written", error)

    def _drain(self, symbol: str) -> Run | None:
        self._refresh_heartbeat()
        # A worker that is busy has received its bells.
        if self._stopping.is_set() or not _turn.acquire(blocking=False):
            return None
        try:
            run = _drain(symbol)
        except Exception as error:
            _give_connection_up(f"{symbol} could not be drained", error)
            return None
        finally:
            _turn.release()
        logger.info("the poller applied %d commands of %s", run.commands, symbol)
        if run.commands:
            self._stale_markets.drained(symbol)
        return run


def _give_connection_up(what: str, error: Exception) -> None:
    """Log what happened, without a traceback once a second, and begin the next turn with a new connection."""
    logger.warning("%s: %s: %s", what, type(error).__name__, error)
    with contextlib.suppress(Exception):
        connection.close()


def _take_new_turn() -> None:
    global _turn  # noqa: PLW0603
    _turn = threading.Lock()


# A forked process has none of its parent's threads: a thread that held the turn at that moment will never release it.
os.register_at_fork(after_in_child=_take_new_turn)
