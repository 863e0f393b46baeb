"""How long threads have run, and how long the database flushed its logs: what an order costs, and what is busy."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

# What waits for the disk at a commit: the redo log and the binary log.
_FLUSHES = """
    SELECT COALESCE(SUM(COUNT_MISC), 0), COALESCE(SUM(SUM_TIMER_MISC), 0) / 1e12
    FROM performance_schema.file_summary_by_event_name
    WHERE event_name IN ('wait/io/file/innodb/innodb_log_file', 'wait/io/file/sql/binlog')
"""


FIRST, CONNECTIONS = "worker's first thread", "database's connections"


@dataclass(frozen=True)
class Cost:
    """What an order costs, in seconds: of processor time in all; of its market's own chain; of flushing the logs.

    The chain is what cannot be done beside itself: the worker's first thread, and the connection that executes what it
    sends. The flushes belong to it, and go at the speed of the disk.
    """

    total: float
    chain: float
    flush: float

    def rate(self, markets: int, cores: float, speed: float = 1.0) -> float:
        """Orders a second that so many markets can settle on so many cores, which have this part of the speed."""
        return min(markets / (self.chain / speed + self.flush), cores * speed / self.total)


@dataclass(frozen=True)
class Spent:
    """Seconds of processor time by who ran, and what the flushes of the logs took."""

    seconds: Mapping[str, float]
    flushes: int = 0
    flushing: float = 0.0

    def since(self, before: "Spent") -> "Spent":
        return Spent(
            {who: seconds - before.seconds.get(who, 0) for who, seconds in self.seconds.items()},
            self.flushes - before.flushes,
            self.flushing - before.flushing,
        )

    def cost(self, orders: int) -> Cost:
        chain = self.seconds.get(FIRST, 0) + self.seconds.get(CONNECTIONS, 0)
        return Cost(sum(self.seconds.values()) / orders, chain / orders, self.flushing / orders)

    def described(self, orders: int) -> str:
        """For each order, which a busy machine changes little."""
        each = ", ".join(f"{who} {spent / orders * 1e6:.0f}" for who, spent in self.seconds.items())
        return f"microseconds of CPU an order: {each}"

    def shares(self, seconds: float) -> str:
        """Of the time that it took."""
        busy = sum(self.seconds.values()) / seconds / cores()
        flushes = f", flushing the logs {self.flushing / seconds:.0%} of the time" if self.flushes else ""
        return f"{cores()} cores {busy:.0%} busy{flushes}"


def servers() -> Mapping[str, int]:
    """The ids of the processes of the run's own servers; none where a test runs a step on its own."""
    pids = map(int, os.environ.get("BENCH_SERVERS", "").split())
    return dict(zip(("database", "redis"), pids, strict=False))


def read_spent(workers: Iterable[int] = ()) -> Spent:
    """Of these processes together, by their ids, and of the database's."""
    found: dict[str, float] = {}
    for pid in workers:
        for thread, _, seconds in threads(pid):
            who = FIRST if thread == pid else "worker's others"
            found[who] = found.get(who, 0) + seconds
    database = servers().get("database")
    for _, command, seconds in threads(database) if database else ():
        who = CONNECTIONS if command.startswith("connection") else "database's others"
        found[who] = found.get(who, 0) + seconds
    return Spent(found, *_flushes())


def threads(pid: int) -> Iterator[tuple[int, str, float]]:
    """The id, the name and the seconds of each thread of a process; nothing where there is no /proc."""
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            nanoseconds = int((task / "schedstat").read_text().split()[0])
            yield int(task.name), (task / "comm").read_text().strip(), nanoseconds / 1e9
        except OSError:
            # A thread that ended meanwhile.
            continue


def cores() -> int:
    return len(os.sched_getaffinity(0))


def _flushes() -> tuple[int, float]:
    with connection.cursor() as cursor:
        cursor.execute("SHOW VARIABLES LIKE 'performance_schema'")
        if cursor.fetchone()[1] != "ON":
            return 0, 0.0
        cursor.execute(_FLUSHES)
        count, seconds = cursor.fetchone()
    return int(count), float(seconds)
