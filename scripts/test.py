"""Run the tests on every database to be had here: python -m scripts.test [--only NAME] [arguments of pytest]

The first leg takes all tests and shows them as they pass. The others take the integration tests, side by side: most of
what these do is wait, and two databases take little longer than one. What they said is shown when they end.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

from scripts import legs
from scripts.folders import remove_abandoned, run_folder
from scripts.packages import UnavailableError
from scripts.process import die_with_parent

HOME = Path(__file__).resolve().parent.parent
ALL_TESTS, INTEGRATION_TESTS = "tests", "tests/integration"
STOP_SECONDS = 30
# The tests that run now, for whoever has to end them.
_running: list["subprocess.Popen[bytes]"] = []
PASSED, NO_TESTS, INTERRUPTED = 0, 5, 130
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
    for stop in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, _exit)
    remove_abandoned()
    results: list[Result] = []
    try:
        names = [options.only] if options.only else list(legs.NAMES)
        # One after the other until one ran.
        while names and not any(result.ran for result in results):
            if names[0] == "sqlite" and results:
                print(f"\n{ADVICE}", flush=True)
            results.append(_run_leg(names.pop(0), ALL_TESTS, for_pytest))
        results += _run_together(names, for_pytest)
    except KeyboardInterrupt:
        print("\ninterrupted; the servers of this run are stopped", file=sys.stderr)
        return INTERRUPTED
    _print_table(results)
    needed = [options.only] if options.only else legs.WITH_A_SERVER if options.require_server_database else ()
    return _exit_code(results, needed)


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="scripts.test", description=__doc__, allow_abbrev=False)
    parser.add_argument("--only", choices=legs.NAMES, help="run all tests on this database alone")
    parser.add_argument(
        "--require-server-database",
        action="store_true",
        default=bool(os.environ.get("CI")),
        help="fail where neither MySQL nor MariaDB ran; the default where CI is set",
    )
    return parser.parse_known_args(arguments)


def _run_together(names: Sequence[str], for_pytest: Sequence[str]) -> list[Result]:
    """The other legs. One after the other where they share a Redis: each would hear what the other tells."""
    at_once = 1 if os.environ.get("TEST_REDIS_URL") else max(1, len(names))
    if names:
        print(f"\nnow on {' and '.join(names)}; what is said there is shown when it ends", flush=True)
    with ThreadPoolExecutor(at_once) as pool:
        ends = {pool.submit(_run_leg, name, INTEGRATION_TESTS, for_pytest, silent=True): name for name in names}
        try:
            results = {ends[end]: end.result() for end in as_completed(ends)}
        except BaseException:
            _end(_running)
            raise
    return [results[name] for name in names]


def _run_leg(name: str, tests: str, for_pytest: Sequence[str], *, silent: bool = False) -> Result:
    if any(argument.startswith(ALL_TESTS) for argument in for_pytest):
        tests = "as given"
    targets = [] if tests == "as given" else [tests]
    started = time.monotonic()
    try:
        with run_folder() as folder, legs.running(name, folder) as leg:
            said = folder / "said" if silent else None
            if not silent:
                print(f"\n{leg.header}", flush=True)
            code = _pytest([*targets, *for_pytest], leg.environment | {"TMPDIR": str(folder)}, said)
            if said is not None:
                print(f"\n{leg.header}\n{said.read_text(errors='replace')}", flush=True)
    except UnavailableError as reason:
        print(f"\n{name} cannot be had here: {reason}", flush=True)
        return Result(name, name, tests, "not run")
    outcome = {PASSED: "passed", NO_TESTS: "no tests selected"}.get(code, f"failed ({code})")
    return Result(name, leg.database, tests, outcome, time.monotonic() - started, code)


def _pytest(arguments: Sequence[str], environment: dict[str, str], said: Path | None = None) -> int:
    command = [sys.executable, "-m", "pytest", *arguments]
    end_with_us = partial(die_with_parent, signal.SIGTERM)
    with contextlib.nullcontext() if said is None else said.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=HOME,
            env=os.environ | environment,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            preexec_fn=end_with_us,  # noqa: PLW1509
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
        print(f"{result.title:<16} {result.tests:<18} {result.outcome:<24} {result.seconds:6.1f} s")


def _exit_code(results: Sequence[Result], needed: Sequence[str]) -> int:
    if needed and not any(result.ran for result in results if result.name in needed):
        print(f"failed: the tests had to run on {' or '.join(needed)}", flush=True)
        return 1
    if not any(result.code == PASSED for result in results):
        return 1
    # Arguments such as -k may select tests that only the first leg has.
    return int(any(result.code not in (PASSED, NO_TESTS) for result in results if result.ran))


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
