"""Run the tests on every database to be had here: python -m tools.scripts.test [--only NAME] [arguments of pytest]

The first leg takes all tests, in two lanes, and shows them as they pass. Beside it run the checks, if asked for, and
then the other legs, one after the other: they take a quarter of the tests that speak a dialect, drawn by the seed. The
output of what runs beside is shown when it ends. With --prove nothing is sampled, and each leg takes all tests that use
its database, alone.

A few tests measure a wait, and fail where the machine is busy with something else. So the few that failed in a leg are
tried once more when it has ended; a leg whose tests pass then says how many it tried again.
"""

import argparse
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from tools.rig.packages import UnavailableError
from tools.rig.process import die_with_parent, exit_at_signals
from tools.rig.servers import run_folder
from tools.scripts import legs

HOME = Path(__file__).resolve().parents[2]
ALL_TESTS = ("tests",)
DIALECT_TESTS = ("tests/integration", "-m", "dialect")
# The legs that run beside the first one draw a quarter of them.
LEG_ONE_IN = "4"
# More than these are no accident.
MOST_TRIED_AGAIN = 3
DATABASE_TESTS = ("tests/integration", "tests/proof", "tests/chaos")
# Each with servers of its own. More would not be faster on two cores, and tests that measure a wait would fail.
LANES = 2
IN_LANES = ("-p", "tests.support.lanes", "-n", str(LANES))
STOP_SECONDS = 30
# Python keeps what it compiles, also where it is told not to: each of a run's processes would compile all of it anew.
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
# The processes that run now, for whoever has to end them.
_running: list["subprocess.Popen[bytes]"] = []
PASSED, FAILED, NO_TESTS, INTERRUPTED = 0, 1, 5, 130
ADVICE = "neither MySQL nor MariaDB ran: install mysql-server or mariadb-server, or set TEST_DATABASE_URL"


@dataclass(frozen=True)
class Result:
    """How one leg ended; without an exit code it did not run, and `outcome` says why."""

    name: str
    title: str
    tests: str
    outcome: str
    seconds: float = 0
    code: int | None = None

    @property
    def ran(self) -> bool:
        return self.code is not None


def main(arguments: Sequence[str]) -> int:
    options, for_pytest = _parse(arguments)
    exit_at_signals()
    # For all legs and all their processes: what is sampled is one choice for the whole run.
    os.environ.setdefault("TEST_SEED", str(secrets.randbelow(1_000_000)))
    if options.prove:
        os.environ.setdefault("PROVE", "1")
    try:
        results = _run(options, for_pytest)
    except KeyboardInterrupt:
        print("\ninterrupted; the servers of this run are stopped", file=sys.stderr)
        return INTERRUPTED
    _print_table(results)
    needed = [options.only] if options.only else legs.WITH_A_SERVER if options.require_server_database else ()
    return _exit_code(results, needed)


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="tools.scripts.test", description=__doc__, allow_abbrev=False)
    parser.add_argument("--only", choices=legs.NAMES, help="run all tests on this database alone")
    parser.add_argument("--prove", action="store_true", help="sample nothing, and run every leg in full")
    parser.add_argument("--check", action="store_true", help="run `make check` too")
    parser.add_argument(
        "--require-server-database",
        action="store_true",
        default=bool(os.environ.get("CI")),
        help="fail where neither MySQL nor MariaDB ran; the default where CI is set",
    )
    return parser.parse_known_args(arguments)


def _run(options: argparse.Namespace, for_pytest: Sequence[str]) -> list[Result]:
    """The first leg that can be had takes all tests. Once it runs the others begin; after it, where they take long, or
    share a Redis, in which each leg would receive the messages of another."""
    names = [options.only] if options.only else list(legs.NAMES)
    waits = options.prove or bool(os.environ.get("TEST_REDIS_URL"))
    tests, lanes = (DATABASE_TESTS, LANES) if options.prove else (DIALECT_TESTS, 1)
    results: list[Result] = []
    beside: list[Future[Result]] = []

    def begin_others() -> None:
        if names and len(beside) <= options.check:
            print(f"\nthen {' and '.join(names)}; the output is shown when each ends", flush=True)
            beside.extend(lane.submit(_run_leg, name, tests, for_pytest, lanes=lanes, silent=True) for name in names)

    with ThreadPoolExecutor(1) as lane:
        try:
            if options.check:
                beside.append(lane.submit(_check))
            while names and not any(result.ran for result in results):
                name = names.pop(0)
                if name == "sqlite" and results:
                    print(f"\n{ADVICE}", flush=True)
                begun = None if waits else begin_others
                results.append(_run_leg(name, ALL_TESTS, for_pytest, lanes=LANES, begun=begun))
            begin_others()
            return results + [other.result() for other in beside]
        except BaseException:
            lane.shutdown(wait=False, cancel_futures=True)
            _end(_running)
            raise


def _check() -> Result:
    started = time.monotonic()
    with run_folder() as folder:
        output = folder / "output"
        # Without the installation: who calls this has done it.
        code = _wait_for(["make", "--no-print-directory", "-o", "venv-dev", "check"], {}, output)
        print(f"\nmake check\n{output.read_text(errors='replace')}", flush=True)
    outcome = "passed" if code == PASSED else f"failed ({code})"
    return Result("check", "make check", "format, lint, types, imports", outcome, time.monotonic() - started, code)


def _run_leg(
    name: str,
    tests: Sequence[str],
    for_pytest: Sequence[str],
    *,
    lanes: int,
    silent: bool = False,
    begun: Callable[[], None] | None = None,
) -> Result:
    if any(argument.startswith("tests") for argument in for_pytest):
        tests, lanes = (), 1
    started = time.monotonic()
    try:
        with run_folder() as folder, legs.running(name, folder, lanes) as leg:
            if not silent:
                print(f"\n{leg.header}", flush=True)
            if begun is not None:
                begun()
            code, counts = _run_tests(leg, tests, for_pytest, folder, silent=silent)
    except UnavailableError as reason:
        print(f"\n{name} cannot be had here: {reason}", flush=True)
        return Result(name, name, "", "not run")
    outcome = {PASSED: "passed", NO_TESTS: "no tests selected"}.get(code, f"failed ({code})")
    return Result(name, leg.database, counts, outcome, time.monotonic() - started, code)


def _run_tests(
    leg: legs.Leg, tests: Sequence[str], for_pytest: Sequence[str], folder: Path, *, silent: bool
) -> tuple[int, str]:
    """The exit code of pytest, and what is to be said of the tests."""
    output, report = folder / "output" if silent else None, folder / "report.xml"
    in_lanes = IN_LANES if leg.lanes > 1 else ()
    command = [sys.executable, "-m", "pytest", *tests, *in_lanes, *for_pytest, "-o", f"cache_dir={folder}/cache"]
    one_in = LEG_ONE_IN if tests == DIALECT_TESTS else "1"
    environment = leg.environment | {"TMPDIR": str(folder), "TEST_LEG_ONE_IN": one_in, **COMPILED}
    code = _wait_for([*command, f"--junitxml={report}"], environment, output)
    if output is not None:
        print(f"\n{leg.header}\n{output.read_text(errors='replace')}", flush=True)
    counts, failed = _counts(report)
    if code == FAILED and 0 < failed <= MOST_TRIED_AGAIN:
        return _try_again(command, environment), f"{counts}, {failed} tried again"
    return code, counts


def _try_again(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run the tests of the leg that failed once more."""
    print("\nwhat failed is tried once more", flush=True)
    # Nothing is drawn now, because what is collected is other than before, and so would be the draw.
    again = [*command, "--last-failed", "--last-failed-no-failures=none"]
    code = _wait_for(again, environment | {"TEST_LEG_ONE_IN": "1"})
    return FAILED if code == NO_TESTS else code


def _counts(report: Path) -> tuple[str, int]:
    """How many tests ran, and how many of them are no proof of anything; and how many failed."""
    suite = ElementTree.parse(report).find("testsuite") if report.exists() else None  # noqa: S314
    if suite is None:
        return "", 0
    skipped, failed = int(suite.get("skipped", 0)), int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    return f"{int(suite.get('tests', 0)) - skipped} tests" + (f", {skipped} skipped" if skipped else ""), failed


def _wait_for(command: Sequence[str], environment: dict[str, str], output_to: Path | None = None) -> int:
    if output_to is not None:
        # It runs beside the first leg, in which some tests measure a wait.
        command = ("nice", "-n", "10", *command)
    with contextlib.nullcontext() if output_to is None else output_to.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=HOME,
            env=os.environ | environment,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            preexec_fn=partial(die_with_parent, signal.SIGTERM),  # noqa: PLW1509
        )
    _running.append(process)
    try:
        return process.wait()
    except BaseException as stop:
        # Ctrl-C has reached pytest already; a second one would cut its clean-up short.
        if not isinstance(stop, KeyboardInterrupt):
            process.send_signal(signal.SIGINT)
        _wait_or_kill(process)
        raise
    finally:
        _running.remove(process)


def _end(processes: Iterable["subprocess.Popen[bytes]"]) -> None:
    for process in list(processes):
        process.send_signal(signal.SIGINT)


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


def _print_table(results: Sequence[Result]) -> None:
    print()
    for result in results:
        print(f"{result.title:<16} {result.tests:<30} {result.outcome:<20} {result.seconds:6.1f} s")
    extent = "everything was run whole" if os.environ.get("PROVE") else "`make prove` runs everything whole"
    print(f"\nseed of what was drawn by lot: TEST_SEED={os.environ['TEST_SEED']}; {extent}", flush=True)


def _exit_code(results: Sequence[Result], needed: Sequence[str]) -> int:
    if needed and not any(result.ran for result in results if result.name in needed):
        print(f"failed: the tests had to run on {' or '.join(needed)}", flush=True)
        return 1
    if not any(result.code == PASSED for result in results if result.name in legs.NAMES):
        return 1
    # Arguments such as -k may select tests that only the first leg has.
    return int(any(result.code not in (PASSED, NO_TESTS) for result in results if result.ran))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
