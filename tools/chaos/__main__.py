"""Kill the exchange while it trades, and prove that nothing is lost:

    python -m tools.chaos [PART ...] [--database mysql|mariadb] [--size ci|full] [--seed N]

Parts: kills, outages, bells, proof, network, readonly, clocks, disk, failover, rabbit. Without one all are run, one
after the other. It starts and stops its own servers. A part for which this machine lacks a program or a right is
reported as not run. Exit code 1, with the folder of the logs and the database's data kept, if anything was wrong.
"""

import argparse
import platform
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from tools.chaos import bells, kills, outages, proof
from tools.chaos.exchange import running_exchange
from tools.chaos.killer import Sizes
from tools.chaos.laps import Lap, Plan
from tools.chaos.report import Report
from tools.chaos.special import LAPS
from tools.rig.driver import provide_driver
from tools.rig.packages import UnavailableError
from tools.rig.process import exit_at_signals
from tools.rig.servers import STARTS, run_folder

PARTS = ("kills", "outages", "bells", *LAPS, "proof")


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    exit_at_signals()
    print(f"seed {options.seed}", flush=True)
    try:
        driver = provide_driver()
        reports = [_run(part, options) for part in (options.parts or PARTS)]
    except UnavailableError as reason:
        print(f"this needs a server that cannot be had here: {reason}", file=sys.stderr)
        return 1
    versions = f"Python {platform.python_version()}, Django {version('django')}, Celery {version('celery')}"
    head = ["# The chaos run", "", f"Seed {options.seed}, size {options.size}; {driver}; {versions}.", ""]
    if options.output:
        options.output.write_text("\n".join([*head, *(report.text() for report in reports)]))
    return int(any(report.wrong for report in reports))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # Not `choices`: with them argparse refuses to have none.
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--database", choices=STARTS, default="mysql")
    parser.add_argument("--size", choices=("ci", "full"), default="full")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="by default another each time")
    parser.add_argument("--output", type=Path, help="write the report to this file too")
    for name in ("workers", "databases", "redis"):
        parser.add_argument(f"--{name}", type=int, help="how many kills of them, instead of the size's")
    parser.add_argument("--pause", type=float, help="seconds between two kills on the average, instead of the size's")
    parser.add_argument("--quick-audits", type=int, help="how many during the kills")
    parser.add_argument("--rounds", type=int, help="of a lap: each of its accidents once in a round")
    parser.add_argument("--count", type=int, help="of bells delivered")
    parser.add_argument("--times", type=int, help="that each test of tests/proof does its work")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return options


def _run(part: str, options: argparse.Namespace) -> Report:
    with _kept_if_wrong(options.seed) as (folder, wrong):
        report = _part(part, options, folder)
        wrong.extend(report.wrong)
    # At once: the parts after it take long.
    print(f"\n{report.text()}", flush=True)
    return report


def _part(part: str, options: argparse.Namespace, folder: Path) -> Report:
    size, seed = options.size, options.seed
    if part == "proof":
        return proof.Proof(options.database, seed, options.times or proof.TIMES[size]).run()
    if part == "bells":
        return bells.Bells(options.database, folder, seed, options.count or bells.COUNTS[size]).run()
    if part in LAPS:
        lap = LAPS[part]
        plan = Plan(options.database, folder, seed, options.rounds or lap.rounds[size])
        try:
            return lap.run(plan)
        except UnavailableError as reason:
            return Report(part, [], [("not run", str(reason))])
    with running_exchange(options.database, folder) as exchange:
        exchange.start_workers()
        if part == "outages":
            return Lap(exchange, outages.OUTAGES, seed, options.rounds or outages.ROUNDS[size]).run()
        audits = kills.QUICK_AUDITS[size] if options.quick_audits is None else options.quick_audits
        return kills.Kills(seed, _kill_sizes(options), audits).run(exchange)


def _kill_sizes(options: argparse.Namespace) -> Sizes:
    asked = {name: getattr(options, name) for name in ("workers", "databases", "redis")}
    asked["pause_seconds"] = options.pause
    sizes = kills.FULL if options.size == "full" else kills.CI
    return replace(sizes, **{name: count for name, count in asked.items() if count is not None})


@contextmanager
def _kept_if_wrong(seed: int) -> Iterator[tuple[Path, list[str]]]:
    """A folder that is removed at the end, unless something was wrong."""
    with run_folder() as folder:
        wrong: list[str] = []
        inner = folder / "exchange"
        try:
            yield inner, wrong
        except BaseException as error:
            wrong.append(repr(error))
            raise
        finally:
            if wrong and inner.exists():
                kept = Path(tempfile.gettempdir()) / f"exchange-chaos-{seed}-{time.strftime('%H%M%S')}"
                inner.rename(kept)
                print(f"kept: {kept} (logs, the database's data); seed {seed}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
