"""Shared caches that never lie: what readers and writers of entries in Redis agree on by one row in MySQL.

An entry carries a version, a random token that is kept beside it in Redis. Whoever changes the rows that the entry was
made from writes a new version before the commit, and whoever reads the entry compares the two. docs/reliability.md
names each race. The rules:

- A writer locks its rows, reads the state, and renews the versions of what it changes; only then it commits.
- An entry is filled from rows that were read with locks, after the version was read. So MySQL itself puts each fill
  before or behind each writer: what a writer changes after the fill has another version when it is committed.
- A reader uses what Redis answers only under a lease: when it asks, the state was OPEN less than a lease ago. (What is
  committed after it asked may be missing.) The answer must come from the very run of the server that the state names,
  because a Redis that was restarted, or a replica that took over, may have versions of before.
- A writer that cannot renew versions closes the caches: it sets the state to CLOSING, waits until every lease has
  ended, sets it to CLOSED, and commits. Whoever finds CLOSING waits as long.
- While the state is CLOSED nothing is compared and nothing is renewed. A reader opens the caches again later, with a
  new token, so that no entry of before is used.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

from django.db import DatabaseError, OperationalError
from redis.exceptions import RedisError

from base.storage.breakers import ServerAway

logger = logging.getLogger(__name__)

# How long a reader goes by the state that it read.
LEASE_SECONDS = 1.0
# How long who closes waits for the leases to end. The margin is for clocks that run at different speeds.
CLOSING_SECONDS = 1.25
# How long the caches stay closed at the least, because each closing costs a writer its wait.
CLOSED_SECONDS = 10.0
ATTEMPTS = 10

R = TypeVar("R")


class Phase(StrEnum):
    """Whether entries are compared and renewed; they are used in OPEN alone."""

    OPEN = "OPEN"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"


class State(NamedTuple):
    """The row. `server` is the run id of the Redis that holds the entries."""

    phase: Phase
    token: str
    server: str
    age_seconds: float


# Before anybody opened the caches for the first time.
NEVER_OPENED = State(Phase.CLOSED, "", "", math.inf)


class States(Protocol):
    """Where the state is kept."""

    def read(self) -> State:
        """As it is committed now, also within a transaction."""
        ...

    def change(self, before: State, phase: Phase, server: str) -> bool:
        """Commit a new state with a new token, whatever becomes of the caller's transaction.

        Returns whether the state still was what it is believed to be.
        """
        ...


class Lease(NamedTuple):
    """A state that was OPEN, and the instant until which a reader goes by it."""

    token: str
    server: str
    until: float


class Answer(Protocol):
    """What Redis answers a reader: with the run id of the server that did."""

    @property
    def server(self) -> str: ...


A = TypeVar("A", bound=Answer)


class Unreachable(OperationalError):
    """The caches could not be closed, so the transaction must not commit.

    With MySQL's number for a lock that was not had in time, because the same is worth trying again.
    """


class Coherence:
    """One process's part in it."""

    def __init__(
        self,
        states: States,
        run_id: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._states = states
        self._run_id = run_id
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._lease: Lease | None = None
        # Without a lease: when the state is looked at again.
        self._again_at = -math.inf
        # The token under which CLOSING was first seen, and when.
        self._seen: tuple[str, float] = ("", 0.0)

    def ask(self, question: Callable[[Lease], A]) -> tuple[Lease, A] | None:
        """What the shared Redis answers, if it may be used; None where the reader must ask MySQL."""
        lease = self._current_lease()
        if lease is None:
            return None
        try:
            answer = question(lease)
        except (ServerAway, RedisError) as error:
            if not isinstance(error, ServerAway):
                logger.warning("a shared cache is done without: %s", error)
            return None
        if answer.server != lease.server:
            self._close_for_another_server(lease)
            return None
        return lease, answer

    def try_to(self, act: Callable[[], object]) -> None:
        """What may be left out where Redis is away."""
        try:
            act()
        except (ServerAway, RedisError) as error:
            logger.debug("a shared cache was not filled: %s", error)

    def before_commit(self, renew: Callable[[str], str]) -> None:
        """Renew versions in a transaction that has locked all rows that it changes.

        `renew` is given the state's token and returns the server's run id.

        Raises Unreachable where the transaction must not commit.
        """
        for _ in range(ATTEMPTS):
            state = self._states.read()
            if state.phase is Phase.CLOSED:
                return
            if state.phase is Phase.OPEN:
                if self._renewed(state, renew):
                    return
                if self._states.change(state, Phase.CLOSING, ""):
                    logger.warning("the shared caches are closed, because their versions cannot be renewed")
            else:
                self._sleep(CLOSING_SECONDS)
                self._states.change(state, Phase.CLOSED, "")
        raise Unreachable(1205, "the shared caches change their state again and again")

    def _renewed(self, state: State, renew: Callable[[str], str]) -> bool:
        try:
            return renew(state.token) == state.server
        except (ServerAway, RedisError) as error:
            logger.warning("the versions of a shared cache cannot be renewed: %s", error)
            return False

    def _current_lease(self) -> Lease | None:
        with self._lock:
            now = self._clock()
            if self._lease is not None and now < self._lease.until:
                return self._lease
            self._lease = None
            if now < self._again_at:
                return None
            state = self._states.read()
            if state.phase is Phase.OPEN:
                # From before the state was read.
                self._lease = Lease(state.token, state.server, now + LEASE_SECONDS)
                return self._lease
            self._again_at = now + LEASE_SECONDS
            self._go_on(state, now)
            return None

    def _go_on(self, state: State, now: float) -> None:
        """Close for good what a writer began to close, or open again what was closed for long enough."""
        if state.phase is Phase.CLOSING:
            token, since = self._seen
            if token != state.token:
                self._seen = (state.token, now)
            elif now - since >= CLOSING_SECONDS:
                self._changed(state, Phase.CLOSED, "")
        elif not 0 <= state.age_seconds < CLOSED_SECONDS:
            # Below zero: the database's clock stepped back, and nobody needs to wait until it has caught up.
            try:
                if self._changed(state, Phase.OPEN, self._run_id()):
                    self._again_at = now
            except (ServerAway, RedisError):
                return

    def _close_for_another_server(self, lease: Lease) -> None:
        with self._lock:
            self._lease = None
            state = self._states.read()
            if state.token == lease.token and self._changed(state, Phase.CLOSING, ""):
                logger.warning("the shared caches are closed: their Redis is not the one that they were opened on")

    def _changed(self, before: State, phase: Phase, server: str) -> bool:
        """For a reader, who reads the rows of a database that takes no writes all the same."""
        try:
            return self._states.change(before, phase, server)
        except DatabaseError as error:
            logger.debug("the state of the shared caches was not changed: %s", error)
            return False
