"""The heartbeat of beat, in a thread of its own, because beat must not wait for the database."""

import logging
import socket
import threading
from typing import Any

from django.db import connections

from base.telemetry import liveness
from matching.worker.heartbeat import Heartbeat

logger = logging.getLogger(__name__)


def begin_heartbeat(**_: Any) -> None:
    threading.Thread(target=_renew_while_it_ticks, name="heartbeat", daemon=True).start()


def _renew_while_it_ticks() -> None:
    """A beat that hangs renews its row no more."""
    heartbeat = Heartbeat(f"beat@{socket.gethostname()}", is_beat=True)
    while True:
        liveness.touched.wait()
        liveness.touched.clear()
        try:
            heartbeat.refresh()
        except Exception as error:
            logger.warning("beat's heartbeat was not written: %s", error)
            connections.close_all()
