"""The killer: kill -9 at random moments, of everything, and everything started again.

Its own random numbers decide what and when. The moments are those of this machine: the same seed gives the same order
of kills, but not the same statement in the middle of which a process dies.
"""

import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tools.chaos.exchange import Exchange
from tools.chaos.watch import Watch
from tools.rig.process import Process, Server

TICK_SECONDS = 0.02
# A worker is worth killing when it works; a few are killed while they still start.
STARTING_SHARE = 0.1
BOTH_SHARE = 0.15
FLUSH_SHARE = LATE_SHARE = 0.3
KILLED_IN_RECOVERY_SHARE = 0.3
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Sizes:
    """How many kills of each kind, and the mean pause between two of them."""

    workers: int
    databases: int
    redis: int
    others: int
    pause_seconds: float

    def plan(self, random: Random) -> list[str]:
        plan = ["worker"] * self.workers + ["database"] * self.databases + ["redis"] * self.redis
        plan += ["web", "beat"] * self.others
        random.shuffle(plan)
        return plan


@dataclass
class Killer:
    """Carries out a plan in the thread that calls `run`: whatever it starts ends with that thread."""

    exchange: Exchange
    watch: Watch
    random: Random
    # Called at each tick with what happened last.
    show: Callable[[str], None]
    kills: Counter[str] = field(default_factory=Counter)
    ended_by_themselves: Counter[str] = field(default_factory=Counter)
    last: str = ""
    _due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _ready: set[str] = field(default_factory=set)
    _down: set[str] = field(default_factory=set)

    def run(self, sizes: Sizes) -> None:
        """All kills of the plan. Returns once everything was started again."""
        left = sizes.plan(self.random)
        while left:
            self._wait(self.random.expovariate(1 / sizes.pause_seconds))
            kind = left.pop()
            # The last one may find that a pair was killed already.
            if kind != "worker" or self.kills["worker"] < sizes.workers:
                getattr(self, f"_kill_{kind}")()
        self.wait_until(lambda: not self._due and not self._down)
        self._wait(1)

    def _kill_worker(self) -> None:
        symbol, first = self._chosen_worker()
        pair = self.exchange.workers[symbol]
        # The other one may be down already, and is to be launched once only.
        victims = [worker for worker in pair if worker.running] if self.random.random() < BOTH_SHARE else [first]
        for worker in victims:
            self._ready.discard(worker.name)
            worker.kill()
            self.kills["worker"] += 1
        both = not any(worker.running for worker in pair)
        self.watch.began("both workers of a market killed" if both else "one worker of a market killed", symbol)
        self._tell(f"both workers of {symbol}" if both else first.name)
        for worker in victims:
            self._later(self.random.uniform(0, 0.5), worker.launch)

    def _chosen_worker(self) -> tuple[str, Process]:
        workers = [(symbol, worker) for symbol, pair in self.exchange.workers.items() for worker in pair]
        if self.random.random() >= STARTING_SHARE:
            self.wait_until(lambda: any(self._is_ready(worker) for _, worker in workers))
            workers = [(symbol, worker) for symbol, worker in workers if self._is_ready(worker)]
        else:
            self.wait_until(lambda: any(worker.running for _, worker in workers))
            workers = [(symbol, worker) for symbol, worker in workers if worker.running]
        return self.random.choice(workers)

    def _is_ready(self, worker: Process) -> bool:
        if worker.running and worker.name not in self._ready and worker.is_ready():
            self._ready.add(worker.name)
        return worker.name in self._ready

    def _kill_database(self) -> None:
        database = self.exchange.database
        self._take_down(database, "database")
        again = self.random.random() < KILLED_IN_RECOVERY_SHARE
        self._later(self.random.uniform(0, 1), database.launch)
        if again:
            self.wait_until(lambda: database.pid is not None)
            # Long before it answers: it reads its log then.
            self._wait(self.random.uniform(0.1, 0.8))
            self._take_down(database, "database in recovery")
            self._later(self.random.uniform(0, 0.5), database.launch)
        self._later(0, lambda: self._up_when_it_answers(database, "database"))

    def _kill_redis(self) -> None:
        redis = self.exchange.redis
        self.wait_until(lambda: "redis" not in self._down)
        if self.random.random() < FLUSH_SHARE:
            self.exchange.flush_redis()
            self.kills["redis flushed"] += 1
            self.watch.began("Redis flushed")
            self._tell("Redis flushed")
            return
        self._take_down(redis, "redis")
        self.watch.began("Redis killed")
        self._later(self.random.uniform(1, 3) if self.random.random() < LATE_SHARE else 0, redis.launch)
        self._later(0, lambda: self._up_when_it_answers(redis, "redis"))

    def _kill_web(self) -> None:
        self.watch.forget_open()
        self._kill_alone("web")

    def _kill_beat(self) -> None:
        self._kill_alone("beat")

    def _kill_alone(self, name: str) -> None:
        process = self.exchange.processes[name]
        self.wait_until(lambda: process.running is not None)
        process.kill()
        self.kills[name] += 1
        self._tell(name)
        self._later(self.random.uniform(0, 0.5), process.launch)

    def _take_down(self, server: Server, kind: str) -> None:
        if kind in ("database", "redis"):
            self.wait_until(lambda: kind not in self._down)
            self._down.add(kind)
        if kind.startswith("database"):
            self.watch.forget_open()
        server.kill()
        self.kills[kind] += 1
        self._tell(kind)

    def _up_when_it_answers(self, server: Server, kind: str) -> None:
        if server.pid is None or not server.is_ready():
            if server.has_ended:
                server.kill()
                server.launch()
                self.ended_by_themselves[kind] += 1
            self._later(0.05, lambda: self._up_when_it_answers(server, kind))
            return
        self._down.discard(kind)
        if kind == "database":
            self.watch.began("database answers again")

    def _tell(self, victim: str) -> None:
        self.last = f"killed {victim}" if "flushed" not in victim else victim

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), action))

    def _wait(self, seconds: float) -> None:
        """Meanwhile what is due is done, and what ended by itself is started again."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._tick()

    def wait_until(self, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS, otherwise: str = "") -> None:
        """The same until it is true. Raises AssertionError."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{otherwise or 'not back'} after {seconds} s; last: {self.last}"
            self._tick()

    def linger(self, condition: Callable[[], bool], seconds: float) -> None:
        """Keep everything running until the condition holds, or for so long."""
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            self._tick()

    def _tick(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()
        for name, why in self.exchange.restart_ended():
            self.ended_by_themselves[f"{name} ({why})"] += 1
            self._ready.discard(name)
        self.show(self.last)
        time.sleep(TICK_SECONDS)
