"""What is due by the database's clock: each worker looks a few times a second, for all markets."""

import contextlib
import logging
import threading
from collections.abc import Callable

from django.db import close_old_connections, connection

from orders.expiry import MOST_DUE, expire_due

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.25
STOP_SECONDS = 5.0
# Each stores commands for what is due, and returns for how many; as many as the second number: there may be more.
LOOKS: tuple[tuple[Callable[[], int], int], ...] = ((expire_due, MOST_DUE),)


class Timers:
    """A thread of its own, because the poller's may be matching for a while. The commands are matched as any others."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="timers", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            pause = PAUSE_SECONDS
            while not self._stopping.wait(pause):
                pause = 0 if self.look() else PAUSE_SECONDS
        finally:
            connection.close()

    def look(self) -> bool:
        """Store commands for all that is due. Returns whether there may be more. Never raises."""
        try:
            close_old_connections()
            found = [look() >= most for look, most in LOOKS]
        except Exception as error:
            if not self._is_failing:
                logger.warning("timers cannot be looked at: %s: %s", type(error).__name__, error)
            self._is_failing = True
            with contextlib.suppress(Exception):
                connection.close()
            return False
        self._is_failing = False
        return any(found)
