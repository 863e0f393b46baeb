"""Django's engine for MySQL with its statements counted, whose connections notice that the server's host is gone.

A host that loses its power, or is cut off, ends no connection: who waits for its answer would wait for ever, and who
sends to it for a quarter of an hour, while another server has taken over long since. So the kernel has to ask the
other end whether it is there, and to give up soon. It asks the host and not the server, so a statement may take as long
as it needs. Libraries have a timeout for each read instead, which would break an audit off.
"""

import os
import socket
from typing import Any

from django_prometheus.db.backends.mysql import base

IDLE_SECONDS, PROBE_SECONDS, PROBES = 5, 3, 3
# For what was sent and not acknowledged.
GIVE_UP_SECONDS = IDLE_SECONDS + PROBE_SECONDS * PROBES
# Only Linux has all of them. Elsewhere a connection notices as late as the system does.
OPTIONS = {
    "TCP_KEEPIDLE": IDLE_SECONDS,
    "TCP_KEEPINTVL": PROBE_SECONDS,
    "TCP_KEEPCNT": PROBES,
    "TCP_USER_TIMEOUT": GIVE_UP_SECONDS * 1000,
}


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    """Found by Django under this name."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        notice_a_lost_host(connection.fileno())
        return connection


def notice_a_lost_host(file: int) -> None:
    """Have the kernel ask the other end of this connection whether it is there."""
    with socket.socket(fileno=os.dup(file)) as own:
        if own.family == socket.AF_UNIX:
            return
        own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in OPTIONS.items():
            if hasattr(socket, name):
                own.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
