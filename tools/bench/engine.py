"""Measuring the engine: the real worker code on commands that wait, in this process."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from django.conf import settings
from django.test import override_settings
from tqdm import tqdm

from matching.drain import drain
from tools.bench.flow import MIDDLE, Command, Place, flow, ladder
from tools.bench.stage import Stage, waiting

WARM_UP = 500


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
    stage.queue(flow(warm_up(commands), seed=7))
    drain_all(stage.symbol, label)
    stage.queue(flow(commands))
    return drain_all(stage.symbol, label)


def warm_up(commands: int) -> int:
    """How many commands are drained before so many are measured."""
    return min(WARM_UP, commands)


def at_batch_size(stage: Stage, size: int, commands: int) -> float:
    """Orders a second of the stage's market at this batch size."""
    with batches_of(size):
        return measure(stage, commands, f"batches of {size}").rate


def resting_stages(depths: Iterable[int]) -> dict[int, Stage]:
    """A market with so many resting orders for each of the depths."""
    stages = {depth: Stage(f"BTC-USD-DEPTH{depth}") for depth in depths}
    for depth, stage in stages.items():
        stage.rest(tqdm(ladder(depth), total=depth, desc=f"{depth:,} orders come to rest", leave=False))
    return stages


def by_depth(stages: Mapping[int, Stage], commands: int, rounds: int) -> dict[int, float]:
    """Orders a second by how many rest; the depths take turns, and each has the median of its rounds."""
    rates: dict[int, list[float]] = {depth: [] for depth in stages}
    for _ in range(rounds):
        for depth, stage in stages.items():
            rates[depth].append(measure(stage, commands, f"{depth:,} resting").rate)
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
            stage.queue(flow(warm_up(commands), seed=7))
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
