"""Start the exchange on this machine, with simulated traders at work: python -m tools.demo [--port 8000]"""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.demo.environment import CannotStartError, Environment, begin, claim_data, claim_port, host, port, prepare
from tools.demo.show import run
from tools.demo.supervision import Supervisor
from tools.rig.packages import UnavailableError
from tools.rig.process import HOST, ROOT, die_with_parent


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    # However we are asked to stop, it is one and the same stop.
    for stop in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, signal.default_int_handler)
    # What it keeps is its owner's alone: the database, the logs, the secrets.
    os.umask(0o077)
    try:
        return _run(options)
    except (CannotStartError, UnavailableError) as reason:
        print(reason, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped before it was ready", file=sys.stderr)
        return 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.demo", description=__doc__)
    parser.add_argument("--port", type=port, default=8000, help="where the exchange listens, on this machine only")
    parser.add_argument("--host", type=host, default=HOST, help="an address that others reach; 0.0.0.0: all")
    parser.add_argument("--seconds", type=float, default=0, help="end after so long; 0: at Ctrl-C")
    parser.add_argument("--no-traders", action="store_true", help="the exchange alone")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    environment = prepare(options.port, options.host)
    with claim_data(environment.data, environment.address) as lock:
        claim_port(options.port, host=options.host)
        begin(environment)
        _seed(environment)
        supervisor = Supervisor(environment, lock)
        try:
            print("starting " + " ".join(process.name for process in supervisor.processes), flush=True)
            supervisor.start()
            code = run(environment, supervisor, with_traders=not options.no_traders, seconds=options.seconds)
            print("stopping", flush=True)
            return code
        finally:
            supervisor.stop()


def _seed(environment: Environment) -> None:
    """Raises CannotStartError with what went wrong; all of it is in the log."""
    log = environment.logs / "seed.log"
    with log.open("w") as errors:
        done = subprocess.run(
            [sys.executable, "-m", "tools.demo.seed"],
            cwd=ROOT,
            env=environment.variables | {"LOG_PROCESS": "seed"},
            stderr=errors,
            check=False,
            preexec_fn=die_with_parent,
        )
    if done.returncode:
        raise CannotStartError(f"the database could not be prepared: {last_event(log)} ({log})")


def last_event(log: Path) -> str:
    """The last line of its log, which is JSON unless it ended before its logging began."""
    last_line = (log.read_text().strip().splitlines() or ["its log is empty"])[-1]
    try:
        return str(json.loads(last_line)["event"])
    except (ValueError, LookupError, TypeError):
        return last_line


if __name__ == "__main__":
    sys.exit(main())
