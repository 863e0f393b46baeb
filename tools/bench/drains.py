"""The measures of the engine: what a market's worker settles, beside the naive way and the floor."""

import time

from tqdm import tqdm

from tools.bench import engine
from tools.bench.bench import Bench, steps
from tools.bench.floor import TODAY, Form, write_again
from tools.bench.flow import flow, with_amends, with_stops
from tools.bench.history import give_history
from tools.bench.naive import drain_naively
from tools.bench.old_floor import DAY, OLD
from tools.bench.profile import profiled
from tools.bench.report import Row
from tools.bench.stage import Stage
from tools.bench.start import measure_starts
from tools.bench.workers import by_workers

COMMANDS = 30_000
# The drain itself has batches of 500.
FULL = 500
BATCH_SIZES = {1: 300, 10: 1500, 50: 3000, 200: 5000, 1000: 8000}
# Of the floor at the same size.
SHARES = {1: 0.6, 10: 0.65, 50: 0.7, FULL: 0.75}
# What one market is to reach where the rows of 2026-11-28 have this floor.
REACH, ITS_FLOOR = 10_000, 13_500
DEPTHS = (100, 1_000, 10_000, 100_000)
SETTLE_SECONDS = 5
ROUNDS_OF_FLOOR = 2


def drain(bench: Bench) -> None:
    """The drain, the bare rows that it wrote, the same in their old form, and the naive way, on the same stream."""
    stage, commands = Stage("BTC-USD"), bench.of(COMMANDS)
    drained = engine.measure(stage, commands, "drain")
    written = commands + engine.warm_up(commands)
    bench.floor, of_today = _floor(stage, written, TODAY, "the floor: bare SQL")
    old_floor, of_old = _floor(stage, written, OLD, f"the floor of {DAY}")
    bench.naive = _naive_rate(bench.of(500))
    bench.by_batch_size[FULL] = drained.rate
    wanted = REACH * old_floor / ITS_FLOOR
    detail = f"{drained.trades:,} trades; {REACH:,} where the floor of {DAY} is {ITS_FLOOR:,}"
    bench.report.add(
        Row("drain, one symbol", drained.rate, "orders/s", wanted, detail=detail),
        Row("naive: a task, a transaction and the ORM an order", bench.naive, "orders/s"),
        Row("floor: the same rows by bare SQL", bench.floor, "orders/s", detail=of_today),
        Row(f"floor: the rows of {DAY}", old_floor, "orders/s", detail=of_old),
        Row("drain / naive", drained.rate / bench.naive, "x", 90),
        Row(f"drain / floor, batches of {FULL}", drained.rate / bench.floor, "x", SHARES[FULL]),
        Row(f"drain / floor of {DAY}", drained.rate / old_floor, "x"),
    )


def profile(bench: Bench) -> None:
    """Where the time of a drain goes, statement by statement."""
    stage, commands = Stage("BTC-USD-PROFILE"), bench.of(10_000)
    stage.queue(flow(commands))
    with profiled() as found:
        drained = engine.drain_all(stage.symbol, "profile")
    bench.report.profile = found.as_markdown(commands, drained.seconds)


def sizes(bench: Bench) -> None:
    """The drain at other batch sizes, and the floor in as many transactions."""
    for size, count in BATCH_SIZES.items():
        stage, commands = Stage(f"BTC-USD-SIZE{size}"), bench.of(count)
        rate = bench.by_batch_size[size] = engine.at_batch_size(stage, size, commands)
        if size in SHARES:
            written = commands + engine.warm_up(commands)
            again = write_again(stage.symbol, written // size, TODAY, f"the floor in batches of {size}")
            floor = written / again.seconds
            detail = f"{rate:,.0f} and {floor:,.0f} orders/s"
            bench.report.add(Row(f"drain / floor, batches of {size}", rate / floor, "x", SHARES[size], detail=detail))


def depth(bench: Bench) -> None:
    """The drain with many resting orders against few."""
    stages = engine.resting_stages([bench.of(depth) for depth in DEPTHS])
    bench.by_depth = engine.by_depth(stages, bench.of(3000), rounds=2)
    shallow, *_, deep = bench.by_depth
    bench.deep = deep, stages[deep]
    ratio = bench.by_depth[deep] / bench.by_depth[shallow]
    bench.report.add(Row(f"depth: {deep:,} resting orders against {shallow}", ratio, "x", 0.9))


def redis(bench: Bench) -> None:
    """What it costs the worker to write into Redis after each batch."""
    bare: dict[str, int | bool] = {"DEPTH_CACHE_LEVELS": 0, "FEED": False}
    choices = {"nothing": bare, "the feed": {**bare, "FEED": True}}
    choices |= {f"{levels} levels": {**bare, "DEPTH_CACHE_LEVELS": levels} for levels in (100, 500)}
    spent = engine.cpu_by_settings(choices, bench.of(3000), rounds=3)
    nothing = spent.pop("nothing")
    for name, cpu in spent.items():
        detail = f"{nothing:.1f} and {cpu:.1f} microseconds an order"
        bench.report.add(
            Row(f"the worker's CPU with {name} in Redis against without", cpu / nothing, "x", detail=detail)
        )


def start(bench: Bench) -> None:
    """A worker's start on a large book: the deepest that was measured, if it is as deep as asked for."""
    orders = bench.of(bench.resting)
    if bench.deep is not None and bench.deep[0] == orders:
        stage = bench.deep[1]
    else:
        stage = engine.resting_stages([orders])[orders]
    with steps(3) as progress:
        found = measure_starts(stage, 2, progress)
    detail = f"a snapshot of {found.megabytes:.1f} MB, packed in {found.first:.1f} s, the next in {found.next:.1f} s"
    bench.report.add(
        Row(f"worker start on {orders:,} resting orders, from the rows", found.rows, "s"),
        Row("the same from a snapshot", found.snapshot, "s", 2, at_most=True, detail=detail),
    )


def sweep(bench: Bench) -> None:
    """One taker through many orders."""
    orders = bench.of(10_000)
    swept = engine.sweep(orders)
    bench.report.add(_longest_lock(f"one taker through {orders:,} orders", swept))


def kinds(bench: Bench) -> None:
    """Amends and stops among plain orders, and a cascade."""
    flows = {"plain": flow, "20 % amends": with_amends, "20 % stops, a tenth trigger": with_stops}
    rates = engine.by_kinds(flows, bench.of(6000), rounds=2)
    plain = rates.pop("plain")
    for name, rate in rates.items():
        detail = f"{rate / plain:.2f} of the plain flow beside it"
        bench.report.add(Row(f"drain with {name}", rate, "orders/s", detail=detail))
    stops = bench.of(1000)
    fired = engine.cascade(stops)
    bench.report.add(_longest_lock(f"a cascade of {stops:,} stops", fired))


def _longest_lock(what: str, drained: engine.Drained) -> Row:
    detail = f"{drained.trades:,} fills in {drained.seconds:.1f} s, {drained.batches} transactions"
    return Row(f"{what}: longest lock", drained.longest_ms, "ms", 300, at_most=True, detail=detail)


def symbols(bench: Bench) -> None:
    """Two markets on two workers, and who is busy meanwhile."""
    found = by_workers("SYMBOLS", (1, 2), bench.of(6000), rounds=3)
    ratio = found[2].rate / found[1].rate
    detail = (
        f"{found[1].rate:,.0f} and {found[2].rate:,.0f} orders/s; of two {found[2].detail}; of one {found[1].detail}"
    )
    bench.report.add(Row("two symbols on two workers against one", ratio, "x", 1.6, detail=detail))


def history(bench: Bench) -> None:
    """The drain before and after a past of many closed orders."""
    rows, commands = bench.of(bench.history), bench.of(6000)
    youngest = [Stage(f"BTC-USD-YOUNG{turn}") for turn in range(3)]
    young = max(engine.measure(stage, commands, "no past").rate for stage in youngest)
    stage = Stage("BTC-USD-OLD")
    give_history(stage, youngest[0], rows)
    # What was put there is still being written to the disk.
    time.sleep(SETTLE_SECONDS)
    old = max(engine.measure(stage, commands, "with a past").rate for _ in range(3))
    detail = f"{young:,.0f} and {old:,.0f} orders/s, the best of three each"
    name = f"history: {rows:,} closed orders and trades against none"
    bench.report.add(Row(name, old / young, "x", 0.95, detail=detail))


def _floor(stage: Stage, written: int, form: Form, label: str) -> tuple[float, str]:
    """Orders a second of the bare rows, the better of two, and what they cost the database."""
    turns = max(written // FULL, 1)
    rounds = [write_again(stage.symbol, turns, form, label) for _ in range(ROUNDS_OF_FLOOR)]
    best = min(rounds, key=lambda each: each.seconds)
    return written / best.seconds, f"{turns} transactions; {best.spent.described(written)}"


def _naive_rate(commands: int) -> float:
    stage = Stage("BTC-USD-NAIVE")
    stage.queue(flow(commands))
    with tqdm(total=commands, desc="the naive way", unit="order", leave=False) as bar:
        began = time.perf_counter()
        while done := drain_naively(stage.symbol, 50):
            bar.update(done)
        return commands / (time.perf_counter() - began)
