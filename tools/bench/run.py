"""All measures, one after the other, on the servers that the environment names: a table, RESULTS.md and a picture."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import django
from tqdm import tqdm

django.setup()

from django.core.management import call_command  # noqa: E402

from tools.bench import engine  # noqa: E402
from tools.bench.cores import measure_cores  # noqa: E402
from tools.bench.exchange import Exchange  # noqa: E402
from tools.bench.floor import write_again  # noqa: E402
from tools.bench.flow import flow, with_amends, with_stops  # noqa: E402
from tools.bench.history import give_history  # noqa: E402
from tools.bench.intake import measure_intake  # noqa: E402
from tools.bench.naive import drain_naively  # noqa: E402
from tools.bench.picture import draw  # noqa: E402
from tools.bench.profile import profiled  # noqa: E402
from tools.bench.reads import measure_reads  # noqa: E402
from tools.bench.report import Report, Row  # noqa: E402
from tools.bench.roundtrip import measure_latency, measure_saturated  # noqa: E402
from tools.bench.signins import measure_sign_ins  # noqa: E402
from tools.bench.stage import Stage  # noqa: E402
from tools.bench.start import measure_starts  # noqa: E402

HERE = Path(__file__).resolve().parent
BATCH_SIZES = {1: 300, 10: 1500, 50: 3000, 200: 5000, 500: 8000, 1000: 8000}
SETTLE_SECONDS = 5
DEPTHS = (100, 1_000, 10_000, 100_000)


@dataclass
class Bench:
    """One run. `size` divides how much is measured: 1 for the real figures, more for a quick look."""

    report: Report
    size: int
    resting: int = 100_000
    naive: float = 0
    floor: float = 0
    by_batch_size: dict[int, float] = field(default_factory=dict)
    by_depth: dict[int, float] = field(default_factory=dict)

    def drain(self) -> None:
        """The drain, the bare rows that it wrote, and the naive way, on the same stream."""
        stage, commands = Stage("BTC-USD"), 50_000 // self.size
        drained = engine.measure(stage, commands, "drain")
        self.floor = commands / write_again(stage.symbol, drained.batches)
        self.naive = _naive_rate(600 // self.size)
        self.report.add(
            Row("drain, one symbol", drained.rate, "orders/s", 8000, detail=f"{drained.trades:,} trades"),
            Row("naive: a task, a transaction and the ORM an order", self.naive, "orders/s"),
            Row("floor: the same rows by bare SQL", self.floor, "orders/s"),
            Row("drain / naive", drained.rate / self.naive, "x", 60),
            Row("drain / floor", drained.rate / self.floor, "x", 0.65),
        )

    def profile(self) -> None:
        """Where the time of a drain goes, statement by statement."""
        stage, commands = Stage("BTC-USD-PROFILE"), 10_000 // self.size
        stage.queue(flow(commands))
        with profiled() as found:
            drained = engine.drain_all(stage.symbol, "profile")
        self.report.profile = found.as_markdown(commands, drained.seconds)

    def sizes(self) -> None:
        self.by_batch_size = engine.by_batch_size({size: count // self.size for size, count in BATCH_SIZES.items()})

    def depth(self) -> None:
        self.by_depth = engine.by_depth([depth // self.size for depth in DEPTHS], 4000 // self.size, rounds=3)
        shallow, *_, deep = self.by_depth
        ratio = self.by_depth[deep] / self.by_depth[shallow]
        self.report.add(Row(f"depth: {deep:,} resting orders against {shallow}", ratio, "x", 0.9))

    def redis(self) -> None:
        """What it costs the worker to write into Redis after each batch."""
        bare: dict[str, int | bool] = {"DEPTH_CACHE_LEVELS": 0, "FEED": False}
        choices = {"nothing": bare, "the feed": {**bare, "FEED": True}}
        choices |= {f"{levels} levels": {**bare, "DEPTH_CACHE_LEVELS": levels} for levels in (100, 500)}
        spent = engine.cpu_by_settings(choices, 6000 // self.size, rounds=5)
        nothing = spent.pop("nothing")
        for name, cpu in spent.items():
            detail = f"{nothing:.1f} and {cpu:.1f} microseconds an order"
            self.report.add(
                Row(f"the worker's CPU with {name} in Redis against without", cpu / nothing, "x", detail=detail)
            )

    def start(self) -> None:
        """A worker's start on a large book."""
        orders = self.resting // self.size
        found = measure_starts(orders, rounds=3)
        detail = (
            f"a snapshot of {found.megabytes:.1f} MB, packed in {found.first:.1f} s, the next in {found.next:.1f} s"
        )
        self.report.add(
            Row(f"worker start on {orders:,} resting orders, from the rows", found.rows, "s"),
            Row("the same from a snapshot", found.snapshot, "s", 2, at_most=True, detail=detail),
        )

    def sweep(self) -> None:
        orders = 10_000 // self.size
        swept = engine.sweep(orders)
        detail = f"{swept.trades:,} fills in {swept.seconds:.1f} s"
        name = f"one taker through {orders:,} orders: longest lock"
        self.report.add(Row(name, swept.longest_ms, "ms", 300, at_most=True, detail=detail))

    def kinds(self) -> None:
        """Amends and stops among plain orders, and a cascade."""
        flows = {"plain": flow, "20 % amends": with_amends, "20 % stops, a tenth trigger": with_stops}
        rates = engine.by_kinds(flows, 8000 // self.size, rounds=3)
        plain = rates.pop("plain")
        for name, rate in rates.items():
            detail = f"{rate / plain:.2f} of the plain flow beside it"
            self.report.add(Row(f"drain with {name}", rate, "orders/s", detail=detail))
        stops = 1000 // self.size
        fired = engine.cascade(stops)
        detail = f"{fired.trades:,} fills in {fired.seconds:.1f} s, {fired.batches} transactions"
        name = f"a cascade of {stops:,} stops: longest lock"
        self.report.add(Row(name, fired.longest_ms, "ms", 300, at_most=True, detail=detail))

    def symbols(self) -> None:
        alone, together = engine.by_workers(8000 // self.size, rounds=3)
        detail = f"{alone:,.0f} and {together:,.0f} orders/s"
        self.report.add(Row("two symbols on two workers against one", together / alone, "x", 1.5, detail=detail))

    def cores(self) -> None:
        with tqdm(desc="the core alone", unit="run", leave=False) as bar:
            self.report.add(*measure_cores(50_000 // self.size, lambda _: bar.update()))

    def road(self) -> None:
        """Intake alone, then the whole road, through the real processes."""
        database, redis = map(int, os.environ["BENCH_SERVERS"].split())
        servers = {"database": database, "redis": redis}
        # The worker logs that it is ready at this level only, which is the settings' default.
        environment = {**os.environ, "LOG_LEVEL": "INFO"}
        with tqdm(unit="step", leave=False) as bar, tempfile.TemporaryDirectory() as folder:

            def progress(what: str) -> None:
                bar.set_description(what)
                bar.update()

            with Exchange(environment, Path(folder), servers=servers) as exchange:
                self.report.add(*measure_intake(exchange, Stage("BTC-USD-INTAKE"), progress))
                engine.drain_all("BTC-USD-INTAKE", "what intake took in")
                self.report.add(*measure_latency(exchange, Stage("BTC-USD-LATENCY"), progress))
                self.report.add(*measure_saturated(exchange, Stage("BTC-USD-SATURATED"), progress))

    def reads(self) -> None:
        """What clients poll, with each cache on and off."""
        environment = {**os.environ, "LOG_LEVEL": "ERROR"}
        with tqdm(unit="step", leave=False) as bar, tempfile.TemporaryDirectory() as folder:

            def progress(what: str) -> None:
                bar.set_description(what)
                bar.update()

            stage, seconds = Stage("BTC-USD-READS"), 1.0 / self.size
            self.report.add(*measure_reads(environment, Path(folder), stage, seconds, progress))

    def signins(self) -> None:
        """What another user's orders feel of many sign-ins."""
        environment = {**os.environ, "LOG_LEVEL": "INFO"}
        with tqdm(unit="turn", leave=False) as bar, tempfile.TemporaryDirectory() as folder:

            def progress(what: str) -> None:
                bar.set_description(what)
                bar.update()

            stage, seconds = Stage("BTC-USD-SIGNINS"), 5.0 / min(self.size, 4)
            self.report.add(*measure_sign_ins(environment, Path(folder), stage, seconds, progress))

    def history(self) -> None:
        rows, commands = 1_000_000 // self.size, 6000 // self.size
        young = max(engine.measure(Stage(f"BTC-USD-YOUNG{turn}"), commands, "no past").rate for turn in range(3))
        stage = Stage("BTC-USD-OLD")
        give_history(stage, rows)
        # What was put there is still being written to the disk.
        time.sleep(SETTLE_SECONDS)
        old = max(engine.measure(stage, commands, "with a past").rate for _ in range(3))
        detail = f"{young:,.0f} and {old:,.0f} orders/s, the best of three each"
        name = f"history: {rows:,} closed orders and trades against none"
        self.report.add(Row(name, old / young, "x", 0.85, detail=detail))

    def picture(self) -> None:
        if self.by_batch_size and self.by_depth and self.naive and self.size == 1:
            draw(
                HERE / "throughput.svg",
                by_batch_size=self.by_batch_size,
                by_depth=self.by_depth,
                naive=self.naive,
                floor=self.floor,
                title=f"Orders settled a second, one symbol, {self.report.database}",
            )


def main(arguments: Sequence[str]) -> int:
    bench = Bench(Report(os.environ["BENCH_DATABASE"]), 1)
    steps: list[Callable[[], None]] = [
        bench.drain,
        bench.profile,
        bench.sizes,
        bench.depth,
        bench.redis,
        bench.start,
        bench.sweep,
        bench.kinds,
        bench.symbols,
        bench.cores,
        bench.road,
        bench.reads,
        bench.signins,
        bench.history,
        bench.picture,
    ]
    parser = argparse.ArgumentParser(prog="tools.bench.run", description=__doc__)
    parser.add_argument("--only", choices=[step.__name__ for step in steps], action="append")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything: to see that it runs")
    parser.add_argument("--resting", type=int, default=bench.resting, help="the orders of a worker's start: 1000000")
    options = parser.parse_args(arguments)
    bench.resting = options.resting
    bench.size = 10 if options.quick else 1
    call_command("migrate", verbosity=0)
    for step in steps:
        if not options.only or step.__name__ in options.only:
            step()
    if not options.only and not options.quick:
        bench.report.write(HERE / "RESULTS.md")
    return 0


def _naive_rate(commands: int) -> float:
    stage = Stage("BTC-USD-NAIVE")
    stage.queue(flow(commands))
    with tqdm(total=commands, desc="the naive way", unit="order", leave=False) as bar:
        began = time.perf_counter()
        while done := drain_naively(stage.symbol, 50):
            bar.update(done)
        return commands / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
