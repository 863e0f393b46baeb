"""Failpoints: every statement and every commit of a piece of work is a place where a failure can be put in.

Nothing in the product knows of them: Django lets a wrapper see each statement, and a commit is a method.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from django.db import OperationalError, connection, connections

Work = Callable[[], Any]


def deadlock() -> None:
    """A deadlock: the server has rolled back the whole transaction. To go on would commit half of the work."""
    _rollback()
    raise OperationalError(1213, "Deadlock found when trying to get lock; try restarting transaction")


def lock_wait() -> None:
    """The server has rolled back this statement and nothing else."""
    raise OperationalError(1205, "Lock wait timeout exceeded; try restarting transaction")


def defect() -> None:
    raise RuntimeError("struck")


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def cut() -> None:
    """The server ends the session, and throws away what it did not commit; the next statement finds that out."""
    if connection.vendor != "mysql":
        _rollback()
        raise OperationalError("disk I/O error")
    executioner = connection.copy()
    try:
        with executioner.cursor() as cursor:
            cursor.execute(f"KILL CONNECTION {connection.connection.thread_id()}")
    finally:
        executioner.close()


def lost() -> None:
    """The session ended before its answer came."""
    cut()
    raise OperationalError(2013, "Lost connection to server during query")


def _rollback() -> None:
    connection.connection.rollback()


@dataclass(frozen=True)
class Blow:
    """What happens at a failpoint: before its statement reaches the database, or after it was carried out there."""

    name: str
    strike: Callable[[], None]
    is_after: bool = False

    def __str__(self) -> str:
        return self.name


KILL = Blow("killed", kill)
BLOWS = (
    Blow("a defect", defect),
    Blow("deadlock", deadlock),
    Blow("lock wait timeout", lock_wait),
    Blow("connection lost before", cut),
    Blow("connection lost after", lost, is_after=True),
)


class Failpoints:
    """Counts the statements and commits of some work, and strikes at the one whose turn it is (0: never)."""

    def __init__(self, turn: int = 0, blow: Blow | None = None) -> None:
        self.turn, self.blow = turn, blow
        self.passed: list[str] = []

    @contextmanager
    def armed(self) -> Iterator["Failpoints"]:
        with ExitStack() as stack:
            stack.enter_context(connection.execute_wrapper(self._execute))
            commit = connection._commit
            stack.enter_context(patch.object(connection, "_commit", lambda: self._at("COMMIT", commit)))
            yield self

    def _execute(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        return self._at(str(sql)[:60], lambda: execute(sql, params, many, context))

    def _at(self, name: str, act: Work) -> Any:
        self.passed.append(name)
        is_turn = self.blow is not None and len(self.passed) == self.turn
        if is_turn and not self.blow.is_after:
            self.blow.strike()
        result = act()
        if is_turn:
            self.blow.strike()
        return result


def count(work: Work) -> int:
    """How many failpoints there are on the way of some work."""
    with Failpoints().armed() as points:
        work()
    return len(points.passed)


def struck(work: Work, turn: int, blow: Blow) -> Any:
    """Do the work with a blow at the n-th failpoint; what it raised, or what it returned."""
    if blow is KILL:
        return _killed(work, turn)
    with Failpoints(turn, blow).armed():
        try:
            return work()
        except Exception as error:
            return error
        finally:
            # As at the end of a request, or before the next poll: a broken connection is not used again.
            connection.close()


def _killed(work: Work, turn: int) -> None:
    """In a process of its own, which does not survive it. It shares no connection with this one.

    Raises AssertionError if the work had fewer failpoints than that.
    """
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            with Failpoints(turn, KILL).armed():
                work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"survived: {status}"
