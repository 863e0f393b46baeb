"""A model of what the balance cache stands between: MySQL's rows and state, and a Redis to which anything may happen.

Each call takes a turn before it does its work in one step, and another before it returns, so that anything may happen
on the way there and on the way back.
"""

import secrets
from collections.abc import Iterable
from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from balances.cache import BalanceCache, Look
from balances.models import Balance
from base.storage.breakers import ServerAway
from base.storage.coherence import NEVER_OPENED, Coherence, Phase, State
from tests.support.interleaving import Stage

USERS = (1, 2)
TIME = datetime(2026, 1, 1, tzinfo=UTC)


class FakeStates:
    """The state's row: changes are committed at once, and reads see what is committed."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.state = NEVER_OPENED
        self.changed_at = -1000.0

    def read(self) -> State:
        self.stage.turn()
        found = self.state._replace(age_seconds=self.stage.now - self.changed_at)
        self.stage.turn()
        return found

    def change(self, before: State, phase: Phase, server: str) -> bool:
        self.stage.turn()
        is_same = before.token == self.state.token
        if is_same:
            self.state = State(phase, secrets.token_hex(4), server, 0.0)
            self.changed_at = self.stage.now
        self.stage.turn()
        return is_same


class FakeRedis:
    """What the scripts of balances.cache do, and what may become of a server."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.run = "run-0"
        self.data: dict[str, dict[int, str]] = {"version": {}, "entry": {}}
        self.fillers: dict[int, float] = {}
        self.dump = deepcopy(self.data)

    def restart(self, *, empty: bool) -> None:
        """With what was dumped at some time before, or with nothing."""
        self.run = f"run-{secrets.token_hex(4)}"
        self.data = {"version": {}, "entry": {}} if empty else deepcopy(self.dump)

    def look(self, user_id: int, known: str) -> Look:
        version, entry = self.data["version"].get(user_id), self.data["entry"].get(user_id, "")
        if version and version == known:
            return Look(self.run, version, "same", "")
        if version and entry.startswith(f"{version} "):
            return Look(self.run, version, "entry", entry)
        if self.fillers.get(user_id, 0) > self.stage.now:
            return Look(self.run, version or "", "wait", "")
        self.fillers[user_id] = self.stage.now + 0.5
        version = self.data["version"].setdefault(user_id, secrets.token_hex(4))
        return Look(self.run, version, "fill", "")

    def fill(self, user_id: int, version: str, server: str, entry: str) -> None:
        if self.run == server and self.data["version"].get(user_id) == version:
            self.data["entry"][user_id] = entry
            self.fillers.pop(user_id, None)

    def renew(self, user_ids: Iterable[int]) -> str:
        for user_id in user_ids:
            self.data["version"][user_id] = secrets.token_hex(4)
        return self.run


class Connection:
    """One process's way to the Redis, which may be cut."""

    def __init__(self, redis: FakeRedis) -> None:
        self.redis = redis
        self.is_cut = False

    def _ask(self, name: str, *arguments: Any) -> Any:
        self.redis.stage.stumble()
        if self.is_cut:
            raise ServerAway("cut")
        answer = getattr(self.redis, name)(*arguments)
        self.redis.stage.stumble()
        if self.is_cut:
            raise ServerAway("cut on the way back")
        return answer

    def look(self, user_id: int, known: str) -> Look:
        return self._ask("look", user_id, known)

    def fill(self, user_id: int, version: str, server: str, entry: str) -> None:
        self._ask("fill", user_id, version, server, entry)

    def renew(self, user_ids: Iterable[int]) -> str:
        return self._ask("renew", user_ids)

    def run_id(self) -> str:
        if self.is_cut:
            raise ServerAway("cut")
        return self.redis.run


class FakeRows:
    """Balances: a number that each commit raises, and the transactions that lock them."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.committed = dict.fromkeys(USERS, 0)
        self.locked: set[int] = set()

    def read(self, user_id: int) -> list[Balance]:
        self.stage.turn()
        found = self._balances(user_id)
        self.stage.turn()
        return found

    def read_locked(self, user_id: int) -> list[Balance] | None:
        self.stage.turn()
        found = None if user_id in self.locked else self._balances(user_id)
        self.stage.turn()
        return found

    def _balances(self, user_id: int) -> list[Balance]:
        amount = Decimal(self.committed[user_id])
        return [
            Balance(
                user_id=user_id,
                currency_id="USD",
                available=amount,
                frozen=Decimal(0),
                created_at=TIME,
                updated_at=TIME,
            )
        ]


class Process:
    """A process of the exchange: it reads through its cache, and writes as intake and the worker do."""

    def __init__(self, states: FakeStates, redis: FakeRedis, rows: FakeRows) -> None:
        self.stage, self.rows = states.stage, rows
        self.connection = Connection(redis)
        self.coherence = Coherence(states, self.connection.run_id, self.stage.clock, self.stage.sleep)
        self.cache = BalanceCache(self.coherence, self.connection, rows, self.stage.sleep)
        self.hits = 0

    def read(self, user_id: int) -> tuple[int, int]:
        """What was committed when it was asked, and what it answered."""
        committed = self.rows.committed[user_id]
        [balance] = self.cache.read(user_id)
        return committed, int(balance.available)

    def write(self, users: Iterable[int], dies: str = "") -> None:
        """A transaction that changes balances; the process may die "before" or "after" its commit."""
        for user_id in sorted(users):
            while user_id in self.rows.locked:
                self.stage.turn(0.05)
            self.rows.locked.add(user_id)
            self.stage.turn()
        try:
            self.before_commit(users)
            self.stage.turn()
            if dies != "before":
                self.commit(users)
        finally:
            self.rows.locked -= set(users)

    def before_commit(self, users: Iterable[int]) -> None:
        self.coherence.before_commit(lambda _: self.connection.renew(users))

    def commit(self, users: Iterable[int]) -> None:
        for user_id in users:
            self.rows.committed[user_id] += 1
