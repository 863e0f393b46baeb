"""The project: settings, entry points, and the small leaves that every app shares."""

import sys

if "rich" not in sys.modules:
    # structlog loads rich where it finds it, for tracebacks in colours that no process of ours prints: five megabytes
    # in each. Only the terminal client wants rich, and finds it afterwards.
    sys.modules["rich"] = None  # type: ignore[assignment]
    import structlog  # noqa: F401

    del sys.modules["rich"]

from exchange.celery import app as celery_app

__all__ = ["celery_app"]
