"""Whether a process lives: by its id, and by a file that it touches while it works, which a health check reads."""

import contextlib
import os
import threading
from pathlib import Path

from django.conf import settings

# For a thread of this process that makes it known to others.
touched = threading.Event()


def touch() -> None:
    """Touch LIVENESS_FILE, if one is named. A full disk is no fault of this process, so the error is ignored."""
    touched.set()
    if settings.LIVENESS_FILE:
        with contextlib.suppress(OSError):
            Path(settings.LIVENESS_FILE).touch()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
