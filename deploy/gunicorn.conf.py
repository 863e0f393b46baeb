"""gunicorn: REST and the admin, in processes with threads. Requests are short; streams are another process's."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured

from base.servers.connections import allow_open_files
from base.storage.checks import log_servers_away

threads = int(os.environ.get("WEB_THREADS", "4"))
# Half of the threads may wait for a password's check, the others never do.
os.environ.setdefault("HASH_PLACES", str(max(threads // 2, 1)))
try:
    from exchange.settings import LOGGING
except ImproperlyConfigured as error:
    # gunicorn would print where in the code it was found.
    sys.exit(str(error))

# Its own lines are like all others, from the first one on.
logconfig_dict = LOGGING
bind = os.environ.get("BIND", "0.0.0.0:8000")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
# gthread, whose threads are given whole requests.
worker_class = "base.servers.gunicorn_worker.WholeRequests"
# Those whose request has not arrived cost little; nobody is let in above this.
worker_connections = 4096
allow_open_files()
# A request waits for a lock 3 seconds at most. One that takes longer than this is stuck, and its process with it.
timeout = 30
# Those that run when the process is asked to stop may finish.
graceful_timeout = 20
# The heartbeat of gunicorn's own: not upon a disk that may be slow.
worker_tmp_dir = "/dev/shm"  # noqa: S108
# No door of its own beside the signals, in a home that is read-only.
control_socket_disable = True
accesslog = None
errorlog = "-"


def post_worker_init(worker):
    """In the first process alone, because all of them have the same settings."""
    if worker.age == 1:
        log_servers_away()
