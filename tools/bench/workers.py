"""Workers of their own: a process for each market, all of which begin together once they are ready."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from django.db import connection
from tqdm import tqdm

from matching.drain import drain
from tools.bench.cpu import Cost, Spent, read_spent
from tools.bench.flow import flow
from tools.bench.stage import Stage
from tools.rig.process import ROOT, die_with_parent

WORK = "from tools.bench.workers import work; work({!r})"

# Called with the processes' ids before they begin.
Prepare = Callable[[Sequence[int]], object]


@dataclass(frozen=True)
class Worked:
    """What workers drained beside each other."""

    orders: int
    seconds: float
    spent: Spent

    @property
    def rate(self) -> float:
        return self.orders / self.seconds

    @property
    def cost(self) -> Cost:
        return self.spent.cost(self.orders)

    @property
    def detail(self) -> str:
        return f"{self.spent.described(self.orders)}; {self.spent.shares(self.seconds)}"


def by_workers(name: str, markets: Sequence[int], commands: int, rounds: int) -> dict[int, Worked]:
    """So many markets on as many workers, each with so many commands: the medians of rounds that take turns."""
    found: dict[int, list[Worked]] = {number: [] for number in markets}
    with tqdm(total=rounds * len(found), desc="markets on their workers", unit="run", leave=False) as bar:
        for turn in range(rounds):
            for number, worked in found.items():
                stages = [Stage(f"BTC-USD-{name}{turn}M{number}N{place}") for place in range(number)]
                worked.append(work_on(stages, commands))
                bar.update()
    return {number: typical(each) for number, each in found.items()}


def typical(found: Sequence[Worked]) -> Worked:
    """That of the median rate."""
    middle = median(sorted(each.rate for each in found))
    return min(found, key=lambda each: abs(each.rate - middle))


def work_on(
    stages: Sequence[Stage],
    commands: int,
    environment: Mapping[str, str] | None = None,
    prepare: Prepare | None = None,
) -> Worked:
    """Queue so many commands in each market, and have each drained by a process of its own."""
    for stage in stages:
        stage.queue(flow(commands))
    workers = [_start(stage.symbol, environment or {}) for stage in stages]
    try:
        for worker in workers:
            _expect(worker, "ready")
        pids = [worker.pid for worker in workers]
        if prepare is not None:
            prepare(pids)
        before, began = read_spent(pids), time.perf_counter()
        for worker in workers:
            _tell(worker, "go")
        for worker in workers:
            _expect(worker, "done")
        seconds = time.perf_counter() - began
        return Worked(commands * len(stages), seconds, read_spent(pids).since(before))
    finally:
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.close()
            worker.wait()


def work(symbol: str) -> None:
    """What its process does: print that it is ready, wait for a signal, drain one market, and stay until it may end."""
    connection.ensure_connection()
    print("ready", flush=True)
    sys.stdin.readline()
    while drain(symbol).batches:
        pass
    print("done", flush=True)
    sys.stdin.read()


def _start(symbol: str, environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", WORK.format(symbol)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Safe enough beside threads: one system call through a library that is loaded already.
        preexec_fn=die_with_parent,  # noqa: PLW1509
    )


def _tell(worker: "subprocess.Popen[str]", word: str) -> None:
    assert worker.stdin is not None
    worker.stdin.write(f"{word}\n")
    worker.stdin.flush()


def _expect(worker: "subprocess.Popen[str]", word: str) -> None:
    assert worker.stdout is not None
    printed = worker.stdout.readline().strip()
    if printed != word:
        raise RuntimeError(f"a worker printed {printed!r} instead of {word!r}")
