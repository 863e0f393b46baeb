"""Time limits for the queries of a page: a figure that takes too long is left out, and the page is shown without it."""

import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from django.db import DatabaseError, connection

logger = logging.getLogger(__name__)

T = TypeVar("T")


class TimeLimit:
    """A limit in seconds for each read, and one for all together. For reads only, outside transactions.

    The server breaks off a query that takes longer. SQLite has no such limit, and no network in between.
    """

    def __init__(self, each: float, total: float) -> None:
        self._each, self._total = each, total
        self._ends = 0.0
        # Whether a figure could not be read.
        self.was_exceeded = False

    def __enter__(self) -> Self:
        self._ends = time.monotonic() + self._total
        self._limit(self._each)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self._limit(0)
        except DatabaseError:
            # The next request must not get a session with this limit.
            connection.close()

    def read(self, figure: Callable[[], T]) -> T | None:
        """The figure; None if the database did not answer in time."""
        if time.monotonic() < self._ends:
            try:
                return figure()
            except DatabaseError as error:
                logger.warning("a figure of the overview could not be read: %s", error)
        self.was_exceeded = True
        return None

    def _limit(self, seconds: float) -> None:
        if connection.vendor != "mysql":
            return
        is_mariadb: bool = connection.mysql_is_mariadb  # type: ignore[attr-defined]
        limit = f"max_statement_time = {seconds:.3f}" if is_mariadb else f"max_execution_time = {seconds * 1000:.0f}"
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION {limit}")
