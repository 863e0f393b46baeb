"""The pulse: a file that a process touches while it turns, for a health check that need not ask it anything."""

import contextlib
from pathlib import Path

from django.conf import settings


def touch() -> None:
    """Touch LIVENESS_FILE, if one is named. A disk that is full says nothing about this process, and ends nothing."""
    if settings.LIVENESS_FILE:
        with contextlib.suppress(OSError):
            Path(settings.LIVENESS_FILE).touch()
