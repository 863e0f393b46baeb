"""A time limit for what a page reads: a query that takes too long is broken off, and the page comes all the same."""

import logging
import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from django.db import DatabaseError, connection

logger = logging.getLogger(__name__)

# How often SQLite asks whether the time is over: about once a millisecond.
SQLITE_INSTRUCTIONS = 10_000

T = TypeVar("T")


class TimeLimit:
    """So many seconds for each query, and so many for all together. For reads only.

    MySQL and MariaDB break a query off by themselves, SQLite asks this process.
    """

    def __init__(self, each: float, total: float) -> None:
        self._each = each
        self._ends = time.monotonic() + total
        self._query_ends = 0.0
        # The limit that the session has, in seconds.
        self._set = math.inf
        # Whether anything could not be read.
        self.was_exceeded = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self._limit(0)
        except DatabaseError:
            # The next request must not be given a session with a limit.
            connection.close()

    def read(self, query: Callable[[], T]) -> T | None:
        """What the query returns; None where the database did not answer, or not in time."""
        now = time.monotonic()
        if now < self._ends:
            seconds = min(self._each, self._ends - now)
            self._query_ends = now + seconds
            try:
                if seconds < self._set:
                    self._limit(seconds)
                return query()
            except DatabaseError as error:
                logger.warning("a page does without one of its queries: %s", error)
        self.was_exceeded = True
        return None

    def _limit(self, seconds: float) -> None:
        """For the queries of this session from now on; 0 for no limit."""
        self._set = seconds
        if connection.vendor == "sqlite":
            connection.ensure_connection()
            own: Any = connection.connection
            own.set_progress_handler(self._is_late if seconds else None, SQLITE_INSTRUCTIONS)
            return
        is_mariadb: bool = connection.mysql_is_mariadb  # type: ignore[attr-defined]
        # In milliseconds, and rounded up, because 0 is no limit.
        milliseconds = int(seconds * 1000) + (seconds > 0)
        limit = f"max_statement_time = {milliseconds / 1000}" if is_mariadb else f"max_execution_time = {milliseconds}"
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION {limit}")

    def _is_late(self) -> bool:
        return time.monotonic() > self._query_ends
