"""Run the tests on every database to be had here: python -m tools.scripts.test [--only NAME] [arguments of pytest]

The first leg takes all tests and shows them as they pass. Beside it the others take the integration tests, one after
the other: most of what all of them do is wait. What the others said is shown when they end.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tools.rig.packages import UnavailableError
from tools.rig.process import die_with_parent
from tools.rig.servers import run_folder
from tools.scripts import legs

HOME = Path(__file__).resolve().parents[2]
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
    try:
        results = _run_legs([options.only] if options.only else list(legs.NAMES), for_pytest)
    except KeyboardInterrupt:
        print("\ninterrupted; the servers of this run are stopped", file=sys.stderr)
        return INTERRUPTED
    _print_table(results)
    needed = [options.only] if options.only else legs.WITH_A_SERVER if options.require_server_database else ()
    return _exit_code(results, needed)


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="tools.scripts.test", description=__doc__, allow_abbrev=False)
    parser.add_argument("--only", choices=legs.NAMES, help="run all tests on this database alone")
    parser.add_argument(
        "--require-server-database",
        action="store_true",
        default=bool(os.environ.get("CI")),
        help="fail where neither MySQL nor MariaDB ran; the default where CI is set",
    )
    return parser.parse_known_args(arguments)


def _run_legs(names: list[str], for_pytest: Sequence[str]) -> list[Result]:
    """The first that can be had takes all tests. Once it runs the others begin; after it, where they share a Redis:
    each would hear what the other tells."""
    results: list[Result] = []
    others: list[Future[Result]] = []

    def begin_others() -> None:
        if names and not others:
            print(f"\nbeside it {', then '.join(names)}; what is said there is shown when it ends", flush=True)
            others.extend(lane.submit(_run_leg, name, INTEGRATION_TESTS, for_pytest, silent=True) for name in names)

    with ThreadPoolExecutor(1) as lane:
        try:
            while names and not any(result.ran for result in results):
                name = names.pop(0)
                if name == "sqlite" and results:
                    print(f"\n{ADVICE}", flush=True)
                begun = None if os.environ.get("TEST_REDIS_URL") else begin_others
                results.append(_run_leg(name, ALL_TESTS, for_pytest, begun=begun))
            begin_others()
            return results + [other.result() for other in others]
        except BaseException:
            lane.shutdown(wait=False, cancel_futures=True)
            _end(_running)
            raise


def _run_leg(
    name: str,
    tests: str,
    for_pytest: Sequence[str],
    *,
    silent: bool = False,
    begun: Callable[[], None] | None = None,
) -> Result:
    if any(argument.startswith(ALL_TESTS) for argument in for_pytest):
        tests = "as given"
    targets = [] if tests == "as given" else [tests]
    started = time.monotonic()
    try:
        with run_folder() as folder, legs.running(name, folder) as leg:
            said = folder / "said" if silent else None
            if not silent:
                print(f"\n{leg.header}", flush=True)
            if begun is not None:
                begun()
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
