"""What is due by the database's clock: each worker looks a few times a second, for all markets."""

import contextlib
import logging
import threading
from collections.abc import Callable

from django.db import close_old_connections, connection

from commands.held import MOST_DUE as MOST_HELD
from orders import dead_man, expiry, fates

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.25
STOP_SECONDS = 5.0
# Each stores commands for what is due, and returns for how many; as many as the second number: there may be more.
LOOKS: tuple[tuple[Callable[[], int], int], ...] = (
    (expiry.expire_due, expiry.MOST_DUE),
    (dead_man.fire_due, dead_man.MOST_DUE),
    (fates.let_hanging_go, MOST_HELD),
)


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
        errors, found = [], []
        for look, most in LOOKS:
            try:
                close_old_connections()
                found.append(look() >= most)
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")
                with contextlib.suppress(Exception):
                    connection.close()
        if errors and not self._is_failing:
            logger.warning("timers cannot be looked at: %s", "; ".join(errors))
        self._is_failing = bool(errors)
        return any(found) and not errors
