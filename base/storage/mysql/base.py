"""Django's engine for MySQL with its statements counted, whose connections notice that the server's host is gone.

Statements are counted as django-prometheus does it, in its metrics. Its own cursors make a class each, and look their
counters up for each statement: a tenth of what a small statement takes in Python.

A host that loses its power, or is cut off, ends no connection: who waits for its answer would wait for ever, and who
sends to it for a quarter of an hour, while another server has taken over long since. So the kernel has to ask the
other end whether it is there, and to give up soon. It asks the host and not the server, so a statement may take as long
as it needs. Libraries have a timeout for each read instead, which would break an audit off.

A transaction costs two round trips beside its statements, and a request seldom one to see whether its connection is
there.
"""

import os
import socket
import time
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from django.db.backends.mysql.base import CursorWrapper, django_conversions
from django.db.backends.utils import debug_transaction
from django_prometheus.db import errors_total, execute_many_total, execute_total, query_duration_seconds
from django_prometheus.db.backends.mysql import base
from MySQLdb import IntegrityError, OperationalError
from MySQLdb.constants import FIELD_TYPE

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
# A connection that was there so long ago is not asked whether it is. One that fails is closed in any case.
HEALTHY_SECONDS = 1.0
# Python reads a date and time in C, the driver in Python.
CONVERSIONS = django_conversions | dict.fromkeys((FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP), datetime.fromisoformat)


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    """Found by Django under this name."""

    # The instant at which the connection was last known to be there.
    _healthy_at = 0.0

    def get_connection_params(self) -> dict[str, Any]:
        return {**super().get_connection_params(), "conv": CONVERSIONS}

    def create_cursor(self, name: str | None = None) -> CursorWrapper:
        return _counting(self.alias)(self.connection.cursor())

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        notice_a_lost_host(connection.fileno())
        self._healthy_at = time.monotonic()
        return connection

    def is_usable(self) -> bool:
        is_usable: bool = super().is_usable()
        if is_usable:
            self._healthy_at = time.monotonic()
        return is_usable

    def close_if_health_check_failed(self) -> None:
        """Django asks in each request, before its first statement."""
        if time.monotonic() - self._healthy_at > HEALTHY_SECONDS:
            super().close_if_health_check_failed()

    def _start_transaction_under_autocommit(self) -> None:
        """How Django begins a transaction, where there is such a method; else it switches autocommit off and on again.

        The commit or the rollback ends what BEGIN began, and the server's autocommit has been on all the time.
        """
        with debug_transaction(self, "BEGIN"), self.wrap_database_errors:
            self.connection.begin()


def notice_a_lost_host(file: int) -> None:
    """Have the kernel ask the other end of this connection whether it is there."""
    with socket.socket(fileno=os.dup(file)) as own:
        if own.family == socket.AF_UNIX:
            return
        own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in OPTIONS.items():
            if hasattr(socket, name):
                own.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


@cache
def _counting(alias: str) -> type[CursorWrapper]:
    """Cursors that count the statements of this database."""
    labels = {"alias": alias, "vendor": DatabaseWrapper.vendor}
    executed, seconds = execute_total.labels(**labels), query_duration_seconds.labels(**labels)
    executed_many = execute_many_total.labels(**labels)

    class CountingCursor(CursorWrapper):
        def execute(self, query: str, args: Any = None) -> Any:
            executed.inc()
            return self._timed(super().execute, query, args)

        def executemany(self, query: str, args: Any) -> Any:
            executed.inc(len(args))
            executed_many.inc(len(args))
            return self._timed(super().executemany, query, args)

        def nextset(self) -> Any:
            """Go on to the answer to the next of the statements that were sent together; None after the last."""
            found = self._timed(_next_answer, self)
            if found is not None:
                executed.inc()
            return found

        def _timed(self, run: Callable[..., Any], *arguments: Any) -> Any:
            began, answer = time.perf_counter(), object()
            try:
                answer = run(*arguments)
                return answer
            except Exception as error:
                errors_total.labels(**labels, type=type(error).__name__).inc()
                raise
            finally:
                # None: there was no statement any more.
                if answer is not None:
                    seconds.observe(time.perf_counter() - began)

    return CountingCursor


def _next_answer(cursor: CursorWrapper) -> Any:
    try:
        return cursor.cursor.nextset()
    except OperationalError as error:
        # As in Django's `execute`.
        if error.args[0] in cursor.codes_for_integrityerror:
            raise IntegrityError(*error.args) from error
        raise
