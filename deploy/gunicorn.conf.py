"""gunicorn: REST and the admin, in processes with threads. Requests are short; streams are another process's."""

import os
from typing import Any

from prometheus_client import multiprocess

bind = os.environ.get("BIND", "0.0.0.0:8000")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("WEB_THREADS", "4"))
worker_class = "gthread"
# A request waits for a lock 3 seconds at most. One that takes longer than this is stuck, and its process with it.
timeout = 30
# Those that run when the process is asked to stop may finish.
graceful_timeout = 20
# The heartbeat of gunicorn's own: not upon a disk that may be slow.
worker_tmp_dir = "/dev/shm"  # noqa: S108
# What leaks anywhere is let go, not by all processes at once.
max_requests = 50_000
max_requests_jitter = 5_000
accesslog = None
errorlog = "-"


def child_exit(server: Any, worker: Any) -> None:
    """A process is gone: what it counted stays in the sums, what it said of itself does not."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        multiprocess.mark_process_dead(worker.pid)
