"""How a program that starts an exchange begins and ends, and how it has its database prepared."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Container, Sequence
from pathlib import Path

from tools.demo.environment import CannotStartError, Environment
from tools.rig.packages import UnavailableError
from tools.rig.process import ROOT, die_with_parent


def run_as_program(run: Callable[[], int]) -> int:
    """The exit code of what it runs. What keeps it from starting is printed, and so is a stop before it was ready."""
    # However we are asked to stop, it is one and the same stop.
    for stop in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, signal.default_int_handler)
    # What it keeps is its owner's alone: the database, the logs, the secrets.
    os.umask(0o077)
    try:
        return run()
    except (CannotStartError, UnavailableError) as reason:
        print(reason, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped before it was ready", file=sys.stderr)
        return 1


def seed(environment: Environment, command: Sequence[str], what: str, known: Container[int] = (0,)) -> int:
    """Run the module with its arguments, and return its exit code, which is one of those `known`.

    Raises CannotStartError with what went wrong; all of it is in the log.
    """
    log = environment.logs / "seed.log"
    with log.open("w") as errors:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=environment.variables | {"LOG_PROCESS": "seed"},
            stderr=errors,
            check=False,
            preexec_fn=die_with_parent,
        )
    if done.returncode not in known:
        raise CannotStartError(f"{what} could not be prepared: {_last_event(log)} ({log})")
    return done.returncode


def _last_event(log: Path) -> str:
    """The last line of its log, which is JSON unless it ended before its logging began."""
    last_line = (log.read_text().strip().splitlines() or ["its log is empty"])[-1]
    try:
        return str(json.loads(last_line)["event"])
    except (ValueError, LookupError, TypeError):
        return last_line
