"""What Flower shows, and that it ends at once: `celery -A exchange flower --conf=deploy/flower.conf.py`."""

import os
import signal
from typing import NoReturn

from flower import command

from matching.worker.transport import SafeQoS

# What a matching run did is its result.
tasks_columns = "name,args,state,result,received,runtime,worker,uuid"
natural_time = False


def _leave(*_: object, **__: object) -> None:
    """Flower puts no bell back into its queue: its user of Redis may not write there, and the workers do it."""


SafeQoS.restore_visible = _leave


def _end(number: int, frame: object) -> NoReturn:
    """Flower's threads are not waited for: without a broker they would try for ever. There is nothing to keep."""
    os._exit(0)


# Flower sets a handler of its own for SIGTERM after it has read this file, under this name.
command.sigterm_handler = _end
signal.signal(signal.SIGINT, _end)
