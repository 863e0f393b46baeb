"""Measuring the engine: the real worker code on commands that wait, in this process or in workers of their own."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from django.conf import settings
from django.db import connection
from django.test import override_settings
from tqdm import tqdm

from matching.drain import drain
from tools.bench.flow import MIDDLE, Command, Place, flow, ladder
from tools.bench.stage import Stage, waiting
from tools.rig.process import ROOT

WARM_UP = 500
WORK = "from tools.bench.engine import work; work({!r})"


@dataclass(frozen=True)
class Drained:
    """What draining an inbox took."""

    commands: int
    trades: int
    batches: int
    seconds: float
    longest_ms: float

    @property
    def rate(self) -> float:
        return self.commands / self.seconds


def drain_all(symbol: str, label: str) -> Drained:
    """Drain the market's inbox to its end, with a progress bar."""
    commands = trades = batches = 0
    longest = 0.0
    with tqdm(total=waiting(symbol), desc=label, unit="order", leave=False) as progress:
        began = time.perf_counter()
        while (run := drain(symbol)).batches:
            commands, trades, batches = commands + run.commands, trades + run.trades, batches + run.batches
            longest = max(longest, run.longest_ms)
            progress.update(run.commands)
        seconds = time.perf_counter() - began
    return Drained(commands, trades, batches, seconds, longest)


def measure(stage: Stage, commands: int, label: str) -> Drained:
    """Queue so many commands of the flow and drain them, after a warm-up that also loads the book."""
    stage.queue(flow(WARM_UP, seed=7))
    drain_all(stage.symbol, label)
    stage.queue(flow(commands))
    return drain_all(stage.symbol, label)


def by_batch_size(sizes: dict[int, int]) -> dict[int, float]:
    """Orders a second at each batch size; `sizes` gives the number of commands of each."""
    rates = {}
    for size, commands in sizes.items():
        with batches_of(size):
            rates[size] = measure(Stage(f"BTC-USD-SIZE{size}"), commands, f"batches of {size}").rate
    return rates


def by_depth(depths: Iterable[int], commands: int, rounds: int) -> dict[int, float]:
    """Orders a second with so many orders resting; the depths take turns, and each has the median of its rounds."""
    stages = {depth: Stage(f"BTC-USD-DEPTH{depth}") for depth in depths}
    for depth, stage in stages.items():
        stage.rest(tqdm(ladder(depth), total=depth, desc=f"{depth} orders come to rest", leave=False))
    rates: dict[int, list[float]] = {depth: [] for depth in stages}
    for _ in range(rounds):
        for depth, stage in stages.items():
            rates[depth].append(measure(stage, commands, f"{depth} resting").rate)
    return {depth: median(found) for depth, found in rates.items()}


def cpu_by_settings(choices: dict[str, dict[str, int | bool]], commands: int, rounds: int) -> dict[str, float]:
    """The worker's microseconds of CPU an order under each choice of settings: the least of rounds that take turns.

    Not orders a second, because what a choice costs is less than what two runs differ by.
    """
    spent: dict[str, list[float]] = {name: [] for name in choices}
    for turn in range(rounds):
        for number, (name, chosen) in enumerate(choices.items()):
            stage = Stage(f"BTC-USD-T{turn}C{number}")
            stage.queue(flow(commands))
            with override_settings(**chosen):
                began = time.process_time()
                drain_all(stage.symbol, name)
                spent[name].append((time.process_time() - began) / commands * 1e6)
    return {name: min(found) for name, found in spent.items()}


def sweep(orders: int) -> Drained:
    """One taker that meets so many resting orders."""
    stage = Stage("BTC-USD-SWEEP")
    makers = [place._replace(side="SELL", price=MIDDLE + place.key % 100) for place in ladder(orders)]
    stage.rest(makers)
    # A worker that runs has the book in memory.
    stage.queue([Place(key=0, user=1, side="BUY", price=1, quantity=1)])
    drain_all(stage.symbol, "warm-up")
    everything = sum(maker.quantity for maker in makers)
    stage.queue([Place(key=0, user=0, side="BUY", price=2 * MIDDLE, quantity=everything)])
    return drain_all(stage.symbol, f"one taker, {orders} makers")


def by_kinds(flows: Mapping[str, Callable[[int], Iterable[Command]]], commands: int, rounds: int) -> dict[str, float]:
    """Commands a second of each flow: the flows take turns, and each has the median of its rounds."""
    rates: dict[str, list[float]] = {name: [] for name in flows}
    for turn in range(rounds):
        for number, (name, made) in enumerate(flows.items()):
            stage = Stage(f"BTC-USD-K{turn}F{number}")
            stage.queue(flow(WARM_UP, seed=7))
            drain_all(stage.symbol, name)
            stage.queue(made(commands))
            rates[name].append(drain_all(stage.symbol, name).rate)
    return {name: median(found) for name, found in rates.items()}


def cascade(stops: int) -> Drained:
    """One trade that triggers so many stops, each of which sells to what rests."""
    stage = Stage("BTC-USD-CASCADE")
    bids = [place._replace(side="BUY", price=MIDDLE - 1 - place.key % 100) for place in ladder(2 * stops)]
    stage.rest(bids)
    stage.queue(place._replace(side="SELL", price=1, stop_price=MIDDLE) for place in ladder(stops, seed=5))
    drain_all(stage.symbol, f"{stops} stops come to wait")
    stage.queue([Place(key=0, user=0, side="SELL", price=1, quantity=1)])
    return drain_all(stage.symbol, f"one trade, {stops} stops")


def by_workers(commands: int, rounds: int) -> tuple[float, float]:
    """Orders a second of one worker on one market, and of two workers on two: medians of rounds that take turns."""
    alone, together = [], []
    for turn in range(rounds):
        stages = [Stage(f"BTC-USD-W{turn}{name}") for name in "ABC"]
        for stage in stages:
            stage.queue(flow(commands))
        first, *others = (stage.symbol for stage in stages)
        alone.append(commands / _drained_by_workers([first]))
        together.append(2 * commands / _drained_by_workers(others))
    return median(alone), median(together)


def _drained_by_workers(symbols: list[str]) -> float:
    """Seconds until each symbol's own process has drained its inbox; they begin together, once all are ready."""
    workers = [
        subprocess.Popen(
            [sys.executable, "manage.py", "shell", "-v", "0", "-c", WORK.format(symbol)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for symbol in symbols
    ]
    for worker in workers:
        _expect(worker, "ready")
    began = time.perf_counter()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.close()
    for worker in workers:
        _expect(worker, "done")
    seconds = time.perf_counter() - began
    for worker in workers:
        worker.wait()
    return seconds


def work(symbol: str) -> None:
    """What a worker's process does: print that it is ready, wait until its input ends, drain one market."""
    connection.ensure_connection()
    print("ready", flush=True)
    sys.stdin.read()
    while drain(symbol).batches:
        pass
    print("done", flush=True)


def _expect(worker: "subprocess.Popen[str]", word: str) -> None:
    assert worker.stdout is not None
    printed = worker.stdout.readline().strip()
    if printed != word:
        raise RuntimeError(f"a worker printed {printed!r} instead of {word!r}")


@contextmanager
def batches_of(size: int) -> Iterator[None]:
    """The engine with this batch size."""
    before = settings.ENGINE_BATCH_SIZE, settings.ENGINE_FILLS_PER_TRANSACTION
    settings.ENGINE_BATCH_SIZE = size
    settings.ENGINE_FILLS_PER_TRANSACTION = max(size, before[1])
    try:
        yield
    finally:
        settings.ENGINE_BATCH_SIZE, settings.ENGINE_FILLS_PER_TRANSACTION = before
