"""All measures, one after the other, on the servers that the environment names: a table, RESULTS.md and a picture."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import django
from tqdm import tqdm

django.setup()

from django.core.management import call_command  # noqa: E402

from tools.bench import cores, drains, roads, scaling  # noqa: E402
from tools.bench.bench import Bench  # noqa: E402
from tools.bench.picture import draw  # noqa: E402
from tools.bench.report import Report  # noqa: E402
from tools.bench.sequence import Step, measure_in_turn  # noqa: E402

HERE = Path(__file__).resolve().parent

STEPS: tuple[Step, ...] = (
    *(drains.drain, drains.profile, drains.sizes, drains.depth, drains.redis, drains.start, drains.sweep),
    *(drains.kinds, drains.symbols, cores.cores, roads.road, roads.ways, roads.reads, roads.signins, drains.history),
)
# What is measured for docs/scaling.md alone.
ON_REQUEST: tuple[Step, ...] = (
    *(scaling.markets, scaling.halves, scaling.trips, scaling.distances, scaling.past, scaling.options),
)


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    bench = Bench(Report(os.environ["BENCH_DATABASE"]), 10 if options.quick else 1, options.resting, options.history)
    with tqdm(desc="the database gets its tables", leave=False):
        call_command("migrate", verbosity=0)
    chosen = [step for step in STEPS + ON_REQUEST if _is_chosen(step, options)]
    # The tables after each step: they are there whatever becomes of the steps after it.
    writes_tables = options.scaling and not options.quick
    if not measure_in_turn(bench, chosen, scaling.DOCUMENT if writes_tables else None):
        return 1
    if not (options.only or options.quick or options.scaling):
        _write(bench)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.bench.run", description=__doc__)
    names = [step.__name__ for step in STEPS + ON_REQUEST]
    parser.add_argument("--only", choices=names, action="append", help="this step; RESULTS.md needs all")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything: to see that it runs")
    parser.add_argument(
        "--scaling", action="store_true", help="the steps on request, and the tables of docs/scaling.md"
    )
    parser.add_argument("--resting", type=int, default=Bench.resting, help="the orders of a worker's start: 1000000")
    parser.add_argument("--history", type=int, default=Bench.history, help="closed orders of the past: 10000000")
    return parser.parse_args(arguments)


def _is_chosen(step: Step, options: argparse.Namespace) -> bool:
    if options.only:
        return bool(step.__name__ in options.only)
    return bool((step in ON_REQUEST) == options.scaling)


def _write(bench: Bench) -> None:
    bench.report.write(HERE / "RESULTS.md")
    draw(
        HERE / "throughput.svg",
        by_batch_size=bench.by_batch_size,
        by_depth=bench.by_depth,
        naive=bench.naive,
        floor=bench.floor,
        title=f"Orders settled a second, one symbol, {bench.report.database}",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
