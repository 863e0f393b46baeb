"""The liveness file: a process touches it while it works. A health check reads its age and asks the process nothing."""

import contextlib
from pathlib import Path

from django.conf import settings


def touch() -> None:
    """Touch LIVENESS_FILE, if one is named. A full disk is no fault of this process, so the error is ignored."""
    if settings.LIVENESS_FILE:
        with contextlib.suppress(OSError):
            Path(settings.LIVENESS_FILE).touch()
